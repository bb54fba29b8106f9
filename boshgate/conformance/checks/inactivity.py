"""Inactivity and pause: XEP-0124 section 10."""

import asyncio

from boshgate.conformance.bosh import PROMPT, Bosh, expect_empty, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named

section = Section("Inactivity", Transport.BOSH, prefix="inactivity")

LONGEST = 18
"""Seconds that a check can stay away for."""

GRACE = 3.0
"""Seconds after which a session that is to be over is over."""


async def _pausing(kit: Kit, *, login: bool = False) -> Bosh:
    """A session that may be paused."""
    session = await (kit.login() if login else kit.session())
    if session.number("maxpause") is None:
        raise NotOffered("no 'maxpause' in the creation response")
    await session.features()
    return session


def _inactivity(session: Bosh) -> int:
    limit = session.number("inactivity")
    if limit is None or limit > LONGEST:
        raise NotOffered(f"inactivity='{limit}' is too long to wait for")
    return limit


@section.should("I1 T5", "XEP-0124 10")
async def an_inactive_session_ends(kit: Kit) -> str:
    """After 'inactivity' seconds without a request the session is gone, as if it had never been."""
    session = await kit.session(wait="1")
    limit = _inactivity(session)
    await asyncio.sleep(limit + GRACE)
    await session.expect_gone(f"after {limit} s and more")
    return f"over after {limit} s"


@section.should("I1", "XEP-0124 10")
async def a_session_with_a_held_request_is_active(kit: Kit) -> str:
    """A session whose request is held is not inactive, however long that takes."""
    limit = _inactivity(await kit.session())
    longer = limit + GRACE
    session = await kit.session(wait=f"{longer:.0f}")
    await session.features()
    answer = await session.ask(within=longer + PROMPT)
    expect_empty(answer, "after wait")
    return f"held for {answer.seconds:.0f} s with inactivity='{limit}'"


@section.should("I5 HC10", "XEP-0124 10")
async def a_pause_releases_all_requests(kit: Kit) -> str:
    """A pause request, and every request that is held, is answered at once."""
    session = await _pausing(kit)
    held = session.send()
    await session.settle()
    pause = session.send(attributes={"pause": "10"})
    for request, what in ((held, "the held request"), (pause, "the pause request")):
        expect_empty(await request.answer(PROMPT, what), what)
    return "both at once"


@section.must("I6 HC10", "XEP-0124 10", login=True)
async def the_response_to_a_pause_has_no_payload(kit: Kit) -> str:
    """What waits for the client is not in the response to a pause request; it comes with the next."""
    session = await _pausing(kit, login=True)
    peer = await kit.login()
    await kit.echo(session)
    peer.send(message(session.jid, "paused"))
    await asyncio.sleep(max(0.5, kit.settle * 3))
    since = len(session.received)
    answer = await session.ask(attributes={"pause": "10"}, within=PROMPT)
    expect_empty(answer, "the pause request")
    await session.wait_for(named("paused"), "the message", since)
    return "the message came with the next response"


@section.should("I8 HC10", "XEP-0124 10")
async def a_short_pause_is_obeyed(kit: Kit) -> str:
    """A pause shorter than 'inactivity' ends the session sooner."""
    session = await _pausing(kit)
    await session.ask(attributes={"pause": "2"}, within=PROMPT)
    await asyncio.sleep(2 + GRACE)
    await session.expect_gone("5 s after a pause of 2 s")
    return "over after 2 s"


@section.should("I5", "XEP-0124 10")
async def a_pause_may_be_longer_than_inactivity(kit: Kit) -> str:
    """A pause up to 'maxpause' keeps the session for that time."""
    session = await _pausing(kit)
    limit, longest = _inactivity(session), session.number("maxpause") or 0
    if longest <= limit + GRACE or limit + GRACE > LONGEST:
        raise NotOffered(f"inactivity='{limit}' is too long to wait for")
    await session.ask(attributes={"pause": str(longest)}, within=PROMPT)
    await asyncio.sleep(limit + GRACE)
    expect(await session.is_alive(), f"over after inactivity='{limit}' in a pause of {longest} s")
    return f"alive after {limit + GRACE:.0f} s"


@section.should("I7 HC10", "XEP-0124 10")
async def the_next_request_ends_a_pause(kit: Kit) -> str:
    """After a pause the next request brings the usual inactivity back."""
    session = await _pausing(kit)
    limit = session.number("inactivity") or LONGEST * 2
    if limit <= 8:
        raise NotOffered(f"inactivity='{limit}' is too short to tell it from a pause")
    await session.ask(attributes={"pause": "2"}, within=PROMPT)
    following = session.send()
    await session.settle()
    last = session.send(attributes={"xmpp:nothing": "1"})
    await following.answer(PROMPT)
    await last.break_connection()
    await asyncio.sleep(2 + GRACE)
    answer = await session.ask(attributes={"type": "terminate"})
    expect(
        answer.get("condition") != "item-not-found",
        "the pause of 2 s was still obeyed after the next request",
    )
    return "alive 5 s later"


@section.practice("I9", "XEP-0124 10, 22")
async def a_malformed_pause_is_refused(kit: Kit) -> str:
    """'pause' that is no number of seconds is a bad request, or no pause."""
    session = await _pausing(kit)
    request = session.send(attributes={"pause": "-1"})
    if await request.is_held(1.5):
        return "ignored"
    expect_terminal(await request.answer(), "bad-request", what="pause='-1'")
    return "bad-request"


@section.practice("I9", "XEP-0124 10")
async def a_pause_above_maxpause_is_bounded(kit: Kit) -> str:
    """'pause' above 'maxpause' is cut, ignored, or refused with a condition that fits."""
    session = await _pausing(kit)
    request = session.send(attributes={"pause": str((session.number("maxpause") or 0) + 1)})
    if await request.is_held(1.5):
        return "ignored"
    answer = await request.answer()
    if answer.is_terminate:
        expect_terminal(answer, "policy-violation", "bad-request", what="a pause above maxpause")
        return str(answer.get("condition"))
    expect_empty(answer, "a pause above maxpause")
    return "cut"


@section.must("I4", "XEP-0124 10")
async def a_pause_that_is_not_offered_is_ignored(kit: Kit) -> str:
    """Where 'maxpause' was not announced, a request with 'pause' is an ordinary one."""
    session = await kit.session()
    if session.number("maxpause") is not None:
        raise NotOffered("'maxpause' is announced")
    await session.features()
    request = session.send(attributes={"pause": "10"})
    expect(await request.is_held(1.5), f"{await request.seen()}")
    return "held"


@section.may("I10", "XEP-0124 10", login=True)
async def a_pause_may_bring_payloads(kit: Kit) -> str:
    """The payloads of a pause request are forwarded."""
    session = await _pausing(kit, login=True)
    await kit.echo(session)
    since = len(session.received)
    await session.ask(message(session.jid, "last"), {"pause": "10"}, within=PROMPT)
    await session.wait_for(named("last"), "the message that came with the pause", since)
    return "forwarded"


@section.practice("I11", "XEP-0124 14.3")
async def a_repeated_pause_is_answered(kit: Kit) -> str:
    """A pause request that is sent again is answered empty, or as one whose response is not kept."""
    session = await _pausing(kit)
    pause = session.send(attributes={"pause": "10"})
    await pause.answer(PROMPT)
    again = await session.resend(pause.body, pause.rid).answer(PROMPT)
    if again.is_terminate:
        expect_terminal(again, "item-not-found", what="a repeated pause")
        return "item-not-found"
    expect_empty(again, "a repeated pause")
    return "empty again"
