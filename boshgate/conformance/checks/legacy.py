"""Clients without 'ver' are told by HTTP status: XEP-0124 section 17.1."""

from boshgate.conformance.bosh import PROMPT
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.checks.http import creation
from boshgate.conformance.checks.polling import poll_too_fast, polling
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer

section = Section("Legacy clients", Transport.BOSH, prefix="legacy")


def _expect_status(answer: Answer, wanted: int, what: str) -> str:
    expect(answer.status == wanted, f"{what}: {answer}, not HTTP {wanted}")
    return f"HTTP {wanted}"


@section.must("C4 E13", "XEP-0124 17.1")
async def a_session_without_ver_works(kit: Kit) -> str:
    """A client that does not send 'ver' gets a session, its features and its end."""
    session = await kit.session(ver=None)
    await session.features()
    expect(await session.is_alive(), "the session is over")
    return "created and ended"


@section.should("E13 E5 HC14", "XEP-0124 17.1")
async def item_not_found_is_404(kit: Kit) -> str:
    """A rid outside the window is HTTP 404 in a legacy session."""
    session = await kit.session(ver=None)
    answer = await session.send(rid=session.rid + 50).answer(PROMPT)
    session.ended = True
    return _expect_status(answer, 404, "rid + 50")


@section.should("E13 E1", "XEP-0124 17.1")
async def bad_request_is_400(kit: Kit) -> str:
    """A malformed creation request without 'ver' is HTTP 400."""
    session = await kit.bosh()
    text = session.wrap("", {"rid": str(session.rid), **creation(kit, ver=None, wait="abc")})
    answer = await session.http.request(text)
    if answer.body is not None and answer.body.get("sid"):
        session.sid = answer.body.get("sid")
        raise NotOffered("a malformed 'wait' is not refused")
    return _expect_status(answer, 400, "wait='abc'")


@section.should("E13 O7", "XEP-0124 17.1")
async def policy_violation_is_403(kit: Kit) -> str:
    """Polling too fast is HTTP 403 in a legacy session."""
    session = await polling(kit, ver=None)
    answer = await poll_too_fast(session)
    if answer.status == 200 and not answer.is_terminate:
        raise NotOffered("polling too fast is not refused")
    session.ended = True
    return _expect_status(answer, 403, "polling too fast")


@section.should("E13", "XEP-0124 17.1")
async def other_conditions_stay_conditions(kit: Kit) -> str:
    """Conditions that never were HTTP codes are told in a <body/> to legacy clients too."""
    answer = await (await kit.bosh()).create(creation(kit, ver=None, to="no-such-domain.invalid"))
    expect(answer.status == 200, f"an unknown domain: HTTP {answer.status}")
    expect(answer.is_terminate, f"{answer}")
    return f"{answer.get('condition')} with HTTP 200"
