"""Request ids and order: XEP-0124 sections 14.1 and 14.2."""

from itertools import pairwise

from boshgate.conformance.bosh import LATE, PROMPT, expect_empty, expect_order, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named, silent

section = Section("Request ids", Transport.BOSH, prefix="rids")

LARGEST = 9007199254740991
"""XEP-0124 section 14.1: 2^53-1."""

FAR = 50
"""Above the window of any session here."""


@section.must("P2 P4 HC3", "XEP-0124 14.2", login=True)
async def an_early_request_waits_for_its_turn(kit: Kit) -> str:
    """A rid that overtakes another is neither answered nor forwarded before that one came."""
    session = await kit.login()
    await kit.echo(session)
    rid, since = session.rid, len(session.received)
    early = session.send(message(session.jid, "second"), rid=rid + 2)
    expect(await early.is_held(0.7), f"answered before its turn: {await early.seen()}")
    late = session.send(message(session.jid, "first"), rid=rid + 1)
    session.rid = rid + 2
    first = session.note(await late.answer(PROMPT))
    second = session.note(await early.answer(PROMPT)) if not await early.is_held(PROMPT) else first
    expect_order(first, second)
    await session.wait_for(named("second"), "the second message", since)
    order = [element.get("id") for element in session.received[since:]]
    expect(order == ["first", "second"], f"forwarded as {' '.join(map(str, order))}")
    return "forwarded and answered in the order of rids"


@section.must("R2 E5 HC5", "XEP-0124 14.2")
async def a_rid_above_the_window_ends_the_session(kit: Kit) -> str:
    """A rid far above the window is item-not-found, and the session is over."""
    session = await kit.session()
    answer = await session.send(rid=session.rid + FAR).answer(PROMPT, f"rid + {FAR}")
    expect_terminal(answer, "item-not-found", what=f"rid + {FAR}")
    await session.expect_gone("the next request")
    return "item-not-found, and the session is over"


@section.should("R1 HC5", "XEP-0124 14.2")
async def the_window_is_requests_wide(kit: Kit) -> str:
    """The highest rid inside the window waits; the one above it ends the session."""
    session = await kit.session()
    await session.features()
    width, rid = session.requests, session.rid
    inside = session.send(rid=rid + width)
    expect(await inside.is_held(0.7), f"rid + {width}, the last inside, is refused: {await inside.seen()}")
    outside = session.send(silent("outside", kit.domain), rid=rid + width + 1)
    answer = await outside.answer(PROMPT, f"rid + {width + 1}")
    expect_terminal(answer, "item-not-found", what=f"rid + {width + 1}, the first outside")
    session.ended = True
    return f"{width} rids wide"


@section.may("R3 HC5", "XEP-0124 11")
async def one_more_may_end_the_session(kit: Kit) -> str:
    """One request above 'requests' is taken if it ends the session."""
    session = await kit.session()
    await session.features()
    width, rid = session.requests, session.rid
    end = session.send(attributes={"type": "terminate"}, rid=rid + width + 1)
    if not await end.is_held(0.5):
        expect_terminal(await end.answer(), "item-not-found", "policy-violation", what="one more")
        session.ended = True
        raise NotOffered("a terminate request above the window is refused")
    pending = [session.send(rid=rid + number) for number in range(1, width + 1)]
    answers = [await request.answer(PROMPT * 2) for request in (*pending, end)]
    session.ended = True
    conditions = [answer.get("condition") for answer in answers if answer.get("condition")]
    expect(not conditions, f"conditions {' '.join(map(str, conditions))}")
    expect(any(answer.is_terminate for answer in answers), "nobody was told that the session is over")
    return "carried out when the others had come"


@section.must("W5 R11", "XEP-0124 14.1")
async def rids_may_be_large(kit: Kit) -> str:
    """A session may start just below 2^53."""
    session = await kit.bosh()
    session.rid = LARGEST - 5
    await session.open()
    expect(await session.is_alive(), "the request after the creation was refused")
    return f"rid {LARGEST - 4}"


@section.practice("R11", "XEP-0124 14.1")
async def rids_never_pass_the_largest(kit: Kit) -> str:
    """A request whose rid would be above 2^53-1 is refused."""
    session = await kit.bosh()
    session.rid = LARGEST - 2
    await session.open()
    answer = await session.send(rid=LARGEST + 1).answer(PROMPT, "rid 2^53")
    session.rid = LARGEST - 1
    expect_terminal(answer, "bad-request", "item-not-found", what="rid 2^53")
    return str(answer.get("condition"))


@section.practice("R10 HC4", "XEP-0124 17.3", login=True)
async def a_hole_that_stays_is_recoverable(kit: Kit) -> str:
    """Where a lower rid never comes the early request is not lost: type='error' asks for both again."""
    session = await kit.login(wait="2")
    await kit.echo(session)
    rid, since = session.rid, len(session.received)
    early = session.send(message(session.jid, "after"), rid=rid + 2)
    if await early.is_held(2 + LATE + PROMPT):
        await early.break_connection()
    else:
        answer = await early.answer()
        expect(answer.is_error, f"answered with {answer}")
    missing = session.send(message(session.jid, "hole"), rid=rid + 1)
    await session.settle()
    again = session.resend(early.body, early.rid)
    session.rid = rid + 2
    for request, what in ((missing, "the missing request"), (again, "the early request, sent again,")):
        answer = session.note(await request.answer(what=what))
        expect(not answer.is_terminate, f"{what} after the hole was filled: {answer}")
    await session.wait_for(named("after"), "the message above the hole", since)
    order = [element.get("id") for element in session.received[since:]]
    expect(order == ["hole", "after"], f"forwarded as {' '.join(map(str, order))}")
    return "both were forwarded once, in order"


@section.must("P3 P4", "XEP-0124 8, 14.2")
async def simultaneous_requests_are_all_answered(kit: Kit) -> str:
    """As many requests at once as 'requests' allows are answered, each with one <body/>."""
    session = await kit.session(wait="2")
    await session.features()
    pending = []
    for _ in range(session.requests):
        pending.append(session.send())
        await session.settle()
    answers = [await request.answer(2 + LATE + PROMPT) for request in pending]
    for answer in answers:
        expect_empty(answer, "one of them")
    for first, second in pairwise(answers):
        expect_order(first, second)
    return f"{len(answers)} requests"


@section.must("R7 X6", "XEP-0124 14.3, note")
async def wrong_rids_look_alike(kit: Kit) -> str:
    """The error is the same for rids too large or too small and for an unknown sid."""
    seen = []
    for difference in (FAR, -FAR):
        session = await kit.session()
        session.ended = True
        what = f"rid {difference:+}"
        seen.append(await session.send(rid=max(1, session.rid + difference)).answer(PROMPT, what))
    unknown = await kit.bosh()
    unknown.sid, unknown.ended = "no-such-session", True
    seen.append(await unknown.ask(silent("x", kit.domain)))
    for answer, what in zip(seen, ("too large", "too small", "an unknown sid"), strict=True):
        expect_terminal(answer, "item-not-found", what=what)
    different = {answer.data for answer in seen}
    expect(len(different) == 1, f"{len(different)} different texts: {seen[0]}, {seen[1]}, {seen[2]}")
    return "3 times the same bytes"
