"""What waits for the client, already divided into what one response may carry (XEP-0206 section 2)."""

from typing import Final

from boshgate.namespaces import SASL, STREAMS
from boshgate.xmpp.xml import Element

STREAM_ERROR: Final = f"{{{STREAMS}}}error"
SASL_SUCCESS: Final = f"{{{SASL}}}success"

ALONE: Final = frozenset(
    (f"{{{STREAMS}}}features", f"{{{SASL}}}challenge", SASL_SUCCESS, f"{{{SASL}}}failure")
)
"""XEP-0206 section 2: a body that holds one of these holds nothing else.

What that section does not foresee (XEP-0198, SASL2, ...) goes together like stanzas.
"""


class Outbox:
    """Payloads from the server, in order, in *portions* for one response each; *size*: all their bytes."""

    __slots__ = ("_limit", "_room", "portions", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = 0  # bytes that may join the last portion; negative: nothing may
        self.portions: list[list[Element]] = []
        self.size = 0

    def append(self, payload: Element) -> None:
        """Queue *payload*; it joins the last portion if the two may share a response that is not too long."""
        name, data = payload
        size = len(data)
        self.size += size
        if name in ALONE:
            self.portions.append([payload])
            self._room = -1
        elif self.portions and (size <= self._room or (name == STREAM_ERROR and self._room >= 0)):
            # The stream error always goes with the stanzas before it: it is the last one, and small.
            self.portions[-1].append(payload)
            self._room = max(self._room - size, 0)
        else:
            self.portions.append([payload])
            self._room = max(self._limit - size, 0)

    def take(self) -> list[Element]:
        """Return the payloads of the next response; none if nothing waits."""
        if not self.portions:
            return []
        portion = self.portions.pop(0)
        for payload in portion:
            self.size -= len(payload.data)
        return portion

    def clear(self) -> int:
        """Throw everything away and return how many payloads that were."""
        count = sum(map(len, self.portions))
        self.portions.clear()
        self.size = 0
        return count
