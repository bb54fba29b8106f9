"""What a client asks for and is granted: a session (XEP-0124 section 7, XEP-0206 3, 4) and a pause (10)."""

import re
from dataclasses import dataclass
from typing import Final

from boshgate.bosh.body import Body
from boshgate.bosh.conditions import Condition
from boshgate.bosh.policy import SessionPolicy
from boshgate.errors import BindingError
from boshgate.namespaces import XBOSH

VERSION: Final = (1, 11)
"""The version of XEP-0124 that is implemented, the wire's ``ver``."""

DEFAULT_CONTENT: Final = "text/xml; charset=utf-8"
"""7.1: the Content-Type of all responses unless the client asks for another."""

RESTARTLOGIC: Final = f"{{{XBOSH}}}restartlogic"
"""XEP-0206 section 4."""

_VER: Final = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})", re.ASCII)
_TCHARS: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(
    rf'{_TCHARS}/{_TCHARS}(?: *; *{_TCHARS}=(?:{_TCHARS}|"[ !#-\[\]-~]*"))*'
)  # RFC 9110 section 8.3.1, in one line and without quoted pairs


@dataclass(frozen=True, slots=True)
class Grant:
    """What the session works with until its end; times in seconds, as on the wire (7.2)."""

    content: str
    ver: tuple[int, int] | None
    """None: the client sent none, which makes it a legacy client (17.1)."""
    wait: int
    hold: int
    requests: int
    inactivity: int
    patience_ms: int
    """How long a request waits that is owed more than the next payload: a missing rid (14.2)."""

    @property
    def polling(self) -> bool:
        """12: either number makes a polling session, in which every request is answered at once."""
        return self.wait == 0 or self.hold == 0

    @property
    def wait_ms(self) -> int:
        """How long a request is held, in milliseconds."""
        return self.wait * 1000

    @property
    def inactivity_ms(self) -> int:
        """How long there may be no request, in milliseconds."""
        return self.inactivity * 1000


def grant_session(request: Body, policy: SessionPolicy) -> Grant:
    """Return what *request* is granted under *policy*.

    Raises BindingError: improper-addressing (no ``to``), bad-request (an attribute is malformed; payloads).
    """
    # 7.1: a creation request carries no payload: a client that sends one has lost its sid, and must know.
    if request.payloads or request.is_terminate:
        raise BindingError(Condition.BAD_REQUEST, "neither payloads nor terminate without a sid")
    if not request.to:
        raise BindingError(Condition.IMPROPER_ADDRESSING, "a creation request needs 'to'")
    wait = request.number("wait", 65535)
    wait = policy.max_wait if wait is None else min(wait, policy.max_wait)
    hold = request.number("hold", 255)
    hold = min(1 if hold is None else hold, policy.max_hold)
    return Grant(
        content=_content(request.attributes.get("content")),
        ver=_version(request.attributes.get("ver")),
        wait=wait,
        hold=hold,
        # 7.2 compares with the hold that was asked for. Where less is granted we depart from that: no more
        # requests are of use than are held and one to send with, and each needs room in the buffer (14.3).
        requests=hold + 1,
        # 12: a polling session is expected to be silent for longer.
        inactivity=policy.inactivity if wait and hold else policy.polling_inactivity,
        patience_ms=wait * 1000 or policy.hole_ms,
    )


def creation_attributes(sid: str, stream: str, grant: Grant, policy: SessionPolicy) -> dict[str, str]:
    """Return the attributes that belong to the creation response, and to no other one (7.2)."""
    # 7.2: the lower of both versions; minor is a number of its own: 1.10 is more than 1.6.
    major, minor = min(VERSION, grant.ver or VERSION)
    attributes = {
        "sid": sid,
        "wait": str(grant.wait),
        "requests": str(grant.requests),
        "ver": f"{major}.{minor}",
        "inactivity": str(grant.inactivity),
        "hold": str(grant.hold),
        RESTARTLOGIC: "true",
    }
    if policy.polling:
        attributes["polling"] = str(policy.polling)
    if policy.accept:
        attributes["accept"] = policy.accept
    if policy.max_pause:
        attributes["maxpause"] = str(policy.max_pause)
    if policy.max_streams > 1:
        attributes["stream"] = stream  # 16.2
    return attributes


def adds_stream(request: Body, policy: SessionPolicy) -> bool:
    """Tell whether *request* asks for another stream: it has a ``to``, and is empty else (16.3).

    Where none are offered that means nothing. A pause is none: its response is kept apart (10, 14.3).
    """
    return policy.max_streams > 1 and "to" in request.attributes and request.is_empty


def grant_pause(request: Body, policy: SessionPolicy) -> int | None:
    """Return how long *request* may pause the session, in milliseconds; None if it does not pause it (10).

    Raises BindingError bad-request: it asks for no positive number of seconds.
    """
    if "pause" not in request.attributes or policy.max_pause == 0:
        return None  # where no 'maxpause' was offered the attribute means nothing
    seconds = request.number("pause", 65535)
    if not seconds:
        raise BindingError(Condition.BAD_REQUEST, "pause is no positive number")
    # The section is silent on more than 'maxpause': what may be had is given.
    return min(seconds, policy.max_pause) * 1000


def _version(value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = _VER.fullmatch(value)
    if match is None:
        raise BindingError(Condition.BAD_REQUEST, "ver is not major.minor")
    return int(match[1]), int(match[2])


def _content(value: str | None) -> str:
    """Return the Content-Type for *value*: it becomes a header, so that nothing but a media type may pass."""
    if value is None or value == DEFAULT_CONTENT:
        return DEFAULT_CONTENT
    if len(value) > 128 or _MEDIA_TYPE.fullmatch(value) is None:
        raise BindingError(Condition.BAD_REQUEST, "content is no media type")
    return value
