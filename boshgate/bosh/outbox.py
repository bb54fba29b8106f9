"""What waits for the client, already divided into what one response may carry (XEP-0206 section 2)."""

from enum import Enum
from typing import Final

from boshgate.namespaces import SASL, STREAMS
from boshgate.xmpp.xml import Element

STREAM_ERROR: Final = f"{{{STREAMS}}}error"
SASL_SUCCESS: Final = f"{{{SASL}}}success"
_FEATURES: Final = f"{{{STREAMS}}}features"
_IN_SASL: Final = f"{{{SASL}}}"


class Kind(Enum):
    """What a non-empty body holds one of (XEP-0206 section 2)."""

    FEATURES = "features"
    """One ``<stream:features/>``."""
    SASL = "sasl"
    """One element of SASL negotiation."""
    STANZAS = "stanzas"
    """Any number of stanzas. What the section does not foresee (XEP-0198, SASL2, ...) goes with them."""


class Portion:
    """The payloads of one response: their *kind*, and their *size* in bytes."""

    __slots__ = ("kind", "payloads", "size")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.payloads: list[Element] = []
        self.size = 0


class Outbox:
    """Payloads from the server in their order; *size* is the sum of their bytes."""

    __slots__ = ("_limit", "portions", "size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.portions: list[Portion] = []
        self.size = 0

    def append(self, payload: Element) -> None:
        """Queue *payload*: with those before it if they may share a response, and are not too long already."""
        name, data = payload
        kind = Kind.STANZAS
        if name.startswith(_IN_SASL):
            kind = Kind.SASL
        elif name == _FEATURES:
            kind = Kind.FEATURES
        portions = self.portions
        if not (
            portions
            and kind is portions[-1].kind is Kind.STANZAS
            # The stream error is a copy (XEP-0206 section 6) and small: it always goes with the last stanzas.
            and (portions[-1].size + len(data) <= self._limit or name == STREAM_ERROR)
        ):
            portions.append(Portion(kind))
        portion = portions[-1]
        portion.payloads.append(payload)
        portion.size += len(data)
        self.size += len(data)

    def take(self) -> list[Element]:
        """Return the payloads of the next response; none if nothing waits."""
        if not self.portions:
            return []
        portion = self.portions.pop(0)
        self.size -= portion.size
        return portion.payloads

    def clear(self) -> int:
        """Throw everything away and return how many payloads that were."""
        count = sum(len(portion.payloads) for portion in self.portions)
        self.portions.clear()
        self.size = 0
        return count
