"""What browsers need of a BOSH endpoint on another origin (WHATWG Fetch, section 3.2: CORS)."""

from boshgate.conformance.check import Section, Transport, expect
from boshgate.conformance.checks.http import UNKNOWN
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer

section = Section("CORS", Transport.BOSH, prefix="cors")

ORIGIN = "https://web.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
    "Content-Type": None,
}
ALLOW = "access-control-allow-origin"


def _expect_allowed(answer: Answer, what: str) -> str:
    origin = answer.headers.get(ALLOW)
    expect(origin in ("*", ORIGIN), f"Access-Control-Allow-Origin of {what}: {origin or 'absent'}")
    return f"Access-Control-Allow-Origin: {origin}"


@section.practice("H12 HC25", "WHATWG Fetch 3.2")
async def a_preflight_is_answered(kit: Kit) -> str:
    """OPTIONS is answered with the origin, POST and Content-Type allowed."""
    answer = await (await kit.http()).request(method="OPTIONS", headers=PREFLIGHT)
    expect(answer.status in (200, 204), f"OPTIONS: HTTP {answer.status}")
    _expect_allowed(answer, "the preflight")
    methods = answer.headers.get("access-control-allow-methods", "")
    expect("POST" in methods or methods == "*", f"Access-Control-Allow-Methods: {methods or 'absent'}")
    allowed = answer.headers.get("access-control-allow-headers", "")
    expect(
        "content-type" in allowed.lower() or allowed == "*",
        f"Access-Control-Allow-Headers: {allowed or 'absent'}",
    )
    return f"HTTP {answer.status}, {methods}; {allowed}"


@section.practice("H12 HC25", "WHATWG Fetch 3.2")
async def responses_allow_the_origin(kit: Kit) -> str:
    """The response to a POST from another origin allows it."""
    session = await kit.bosh()
    answer = await session.ask(
        "", {"to": kit.domain, "wait": "5", "hold": "1", "ver": "1.11"}, headers={"Origin": ORIGIN}
    )
    session.sid = answer.get("sid")
    return _expect_allowed(answer, "a creation response")


@section.practice("H12 HC25", "WHATWG Fetch 3.2")
async def errors_allow_the_origin(kit: Kit) -> str:
    """An error response allows the origin: without that a page cannot tell it from a lost network."""
    http = await kit.http()
    for what, body in (("an unknown sid", UNKNOWN), ("no XML", "<body")):
        seen = _expect_allowed(await http.request(body, {"Origin": ORIGIN}), f"the answer to {what}")
    return seen


@section.practice("H12", "WHATWG Fetch 3.2.5")
async def the_wildcard_goes_without_credentials(kit: Kit) -> str:
    """ "*" and Access-Control-Allow-Credentials: true exclude each other: browsers refuse the pair."""
    answer = await (await kit.http()).request(method="OPTIONS", headers=PREFLIGHT)
    credentials = answer.headers.get("access-control-allow-credentials", "")
    wildcard = answer.headers.get(ALLOW) == "*"
    expect(not (wildcard and credentials.lower() == "true"), "the wildcard with credentials")
    return f"credentials: {credentials or 'no'}"


@section.practice("H12", "WHATWG Fetch 3.2")
async def a_reflected_origin_varies(kit: Kit) -> str:
    """Where the request's Origin comes back, Vary names it."""
    answer = await (await kit.http()).request(UNKNOWN, {"Origin": ORIGIN})
    if answer.headers.get(ALLOW) != ORIGIN:
        return f"not reflected: {answer.headers.get(ALLOW, 'absent')}"
    vary = answer.headers.get("vary", "")
    expect("origin" in vary.lower(), f"the origin is reflected, Vary: {vary or 'absent'}")
    return f"Vary: {vary}"
