"""Logging in over either transport: SASL (RFC 6120 section 6) and resource binding (section 7)."""

from collections.abc import Awaitable, Callable

from boshgate.conformance.check import Fails
from boshgate.conformance.sasl import LoginRefused, choose
from boshgate.conformance.target import Account
from boshgate.conformance.xml import Element, escape, iq, tag, written
from boshgate.namespaces import BIND, SASL

SESSION = "urn:ietf:params:xml:ns:xmpp-session"

Exchange = Callable[[str, Callable[[Element], bool], str], Awaitable[Element]]
"""Sends one element and reads until the wanted one comes."""


def is_sasl(element: Element) -> bool:
    return tag(element).startswith(f"{{{SASL}}}")


def mechanisms_of(features: Element) -> list[str]:
    """The SASL mechanisms that are offered."""
    return [(each.text or "").strip() for each in features.iter(f"{{{SASL}}}mechanism")]


async def authenticate(exchange: Exchange, features: Element, account: Account) -> None:
    """Log in; the stream is to be restarted next."""
    mechanism, conversation = choose(mechanisms_of(features), account.user, account.password)
    said = next(conversation)
    answer = await exchange(
        f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{said}</auth>",
        is_sasl,
        f"an answer to <auth/> {mechanism}",
    )
    while tag(answer) == f"{{{SASL}}}challenge":
        try:
            said = conversation.send((answer.text or "").strip())
        except StopIteration:
            said = ""
        answer = await exchange(
            f"<response xmlns='{SASL}'>{said}</response>", is_sasl, "an answer to <response/>"
        )
    if tag(answer) != f"{{{SASL}}}success":
        raise LoginRefused(f"the server refuses the login: {written(answer)}")


async def bind(exchange: Exchange, features: Element, resource: str | None = None) -> str:
    """Bind a resource, the server's choice unless one is wanted: the full JID."""
    if features.find(f"{{{BIND}}}bind") is None:
        raise Fails(f"the features after the login have no <bind/>: {written(features)}")
    wanted = f"<resource>{escape(resource)}</resource>" if resource else ""
    answer = await exchange(
        iq("set", "bind", f"<bind xmlns='{BIND}'>{wanted}</bind>"),
        lambda element: element.get("id") == "bind",
        "an answer to the binding of a resource",
    )
    jid = answer.findtext(f"{{{BIND}}}bind/{{{BIND}}}jid")
    if not jid:
        raise Fails(f"no resource was bound: {written(answer)}")
    legacy = features.find(f"{{{SESSION}}}session")
    if legacy is not None and legacy.find(f"{{{SESSION}}}optional") is None:
        await exchange(  # RFC 3921 section 3
            iq("set", "session", f"<session xmlns='{SESSION}'/>"),
            lambda element: element.get("id") == "session",
            "an answer to the legacy session request",
        )
    return jid
