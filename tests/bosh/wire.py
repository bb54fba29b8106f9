"""What the model says and hears: payloads with ids, requests, and the HTTP exchanges that carry them."""

import re
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1

from boshgate.bosh.body import Body, terminal_body
from boshgate.namespaces import CLIENT, SASL, STREAMS, XBOSH
from boshgate.xmpp.xml import Element

ITEM_NOT_FOUND = terminal_body("item-not-found")
RESTART = f"{{{XBOSH}}}restart"
FIRST_RID = 1000

KINDS = {
    "stanza": (f"{{{CLIENT}}}message", "<message id='%s' xmlns='jabber:client'/>"),
    "sasl": (f"{{{SASL}}}challenge", f"<challenge id='%s' xmlns='{SASL}'/>"),
    "success": (f"{{{SASL}}}success", f"<success id='%s' xmlns='{SASL}'/>"),
    "features": (f"{{{STREAMS}}}features", f"<stream:features id='%s' xmlns:stream='{STREAMS}'/>"),
    "error": (f"{{{STREAMS}}}error", f"<stream:error id='%s' xmlns:stream='{STREAMS}'/>"),
}
ID = re.compile(rb"<([a-z:]+) id='([^']+)'")
_STREAM = re.compile(rb"^<body [^>]*? stream='([^']+)'")
_TYPE = re.compile(rb"^<body [^>]*? type='([a-z]+)'(?: condition='([a-z-]+)')?")


@cache
def key(sequence: int, number: int) -> str:
    """K(*number*) of a key sequence (15.3)."""
    seed = f"seed {sequence}" if number == 1 else key(sequence, number - 1)
    return sha1(seed.encode()).hexdigest()


def keys_of(rid: int) -> dict[str, str]:
    """15: the key that *rid* needs, and every third time a new sequence."""
    if rid < FIRST_RID:
        return {}
    sequence, used = divmod(rid - FIRST_RID - 1, 3)
    keys = {"key": key(sequence, 3 - used)} if rid > FIRST_RID else {}
    return keys | ({"newkey": key(sequence + 1, 4)} if used == 2 else {})


def payload(kind: str, id_: str) -> Element:
    """A payload with an id."""
    name, written = KINDS[kind]
    return Element(name, (written % id_).encode())


def ids(body: bytes) -> list[str]:
    """The ids of the payloads of a response."""
    return [id_.decode() for _, id_ in ID.findall(body)]


def end_of(body: bytes) -> tuple[str | None, str | None]:
    """Type and condition of a response."""
    match = _TYPE.match(body)
    if match is None:
        return None, None
    return match[1].decode(), match[2].decode() if match[2] else None


def stream_of(body: bytes) -> str | None:
    """The stream that a response names."""
    match = _STREAM.match(body)
    return match[1].decode() if match else None


def is_end(body: bytes) -> bool:
    """Whether a response ends the session: that of one stream names it (16.6)."""
    return end_of(body)[0] == "terminate" and stream_of(body) is None


def check_kinds(body: bytes, condition: str | None) -> None:
    """A response, with its terminal *condition*, has no payloads together that must not be."""
    names = [name.decode() for name, _ in ID.findall(body)]
    if set(names) & {"challenge", "success", "stream:features"}:
        assert len(names) == 1, "XEP-0206 2: one kind in a body"
    if "stream:error" in names:
        assert names.index("stream:error") == len(names) - 1
        assert condition == "remote-stream-error"


@dataclass(eq=False)
class Asked:
    """A request of the client: its *body*, and what the client knows of the answer."""

    rid: int
    body: Body
    kind: str = "plain"
    exchanges: list["Http"] = field(default_factory=list)
    answer: bytes | None = None

    @property
    def open(self) -> bool:
        """The client waits for a response on some connection."""
        return any(http.state in ("upstream", "arrived", "downstream") for http in self.exchanges)


@dataclass(eq=False)
class Http:
    """One HTTP exchange.

    *state*: upstream -> arrived -> downstream -> done; or, as the client sees it, broken from any but the
    last. *live*: the session has it, owes it a response and has not heard that it broke.
    """

    asked: Asked
    state: str = "upstream"
    live: bool = False
    arrived_at: int = 0
    waits_since: int = 0
    response: bytes | None = None
