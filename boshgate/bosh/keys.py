"""Key sequences: proof that all requests of a session come from the client that made it (XEP-0124 15).

Each key is the SHA-1 of the key that comes next, so that only who knows the sequence can name the next one.
The hash is over the 40 hexadecimal digits, as they were written.
"""

from hashlib import sha1
from typing import Final

from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.errors import BindingError

_DIGITS: Final = 40
"""Of a SHA-1 hash; what is longer matches nothing and need not be kept."""


class Keys:
    """What the key of the next request hashes to, from the *newkey* of the creation request on (15.4)."""

    __slots__ = ("_expected",)

    def __init__(self, newkey: str) -> None:
        self._expect(newkey)

    def check(self, body: Body) -> None:
        """Check the key of *body*, the next request in the order of rids, and expect the one after.

        Repeats are exact copies of a request that was checked (14.3): they are not checked again.
        Raises BindingError item-not-found: the key is missing or wrong.
        """
        key = body.attributes.get("key")
        # 15.4: the comparison takes no notice of case, the hash is over what was received.
        if key is None or sha1(key.encode(), usedforsecurity=False).hexdigest() != self._expected:
            raise BindingError(Condition.ITEM_NOT_FOUND, "no key, or one that does not continue the sequence")
        self._expect(body.attributes.get("newkey", key))  # 15.5: the next sequence, where one begins

    def _expect(self, key: str) -> None:
        self._expected = key[: _DIGITS + 1].lower()


def begin_keys(request: Body) -> Keys | None:
    """Return the keys of the session that *request* creates; None: it uses none (15.4)."""
    newkey = request.attributes.get("newkey")
    return None if newkey is None else Keys(newkey)
