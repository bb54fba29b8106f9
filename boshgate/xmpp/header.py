"""What of the client's words may stand in the stream header to its server; what is not valid is left out.

The gateway puts them there itself (RFC 6120 section 4.7), so a mistake would cost the stream, not a stanza.
"""

import re
from typing import Final

LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,8}")
"""XML Schema's ``language`` (RFC 6120 section 4.7.4), of a length that RFC 5646 section 4.4 has in mind."""

BARE_JID: Final = re.compile(r"[^\s@/\"&'<>:]{1,1023}@[^\s@/\"&'<>]{1,1023}")
"""RFC 6120 section 4.7.1 asks for a bare JID; the server knows best whether it is one (RFC 7622)."""


def language(value: str | None) -> str | None:
    """The language tag *value*, if it is one."""
    return value if value is not None and LANGUAGE.fullmatch(value) else None


def bare_jid(value: str | None) -> str | None:
    """The bare JID of *value*, without a resource (RFC 6120 section 4.7.1); None if it is no client's JID."""
    bare = (value or "").partition("/")[0]
    return bare if BARE_JID.fullmatch(bare) else None
