"""Acknowledgements: XEP-0124 section 9, optional for both sides."""

import asyncio

from boshgate.conformance.bosh import PROMPT, Bosh, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect, offered
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import message, named, ping, silent

section = Section("Acknowledgements", Transport.BOSH, prefix="acks")


async def _acking(kit: Kit, *, login: bool = False, **attributes: str | None) -> Bosh:
    """A session in which the connection manager acknowledges requests."""
    session = await kit.session(ack="1", **attributes)
    offered(session.granted("ack"), "no 'ack' in the creation response")
    if login:
        await kit.log_in(session)
    else:
        await session.features()
    return session


@section.must("S9 A2", "XEP-0124 9.1")
async def the_announcement_is_the_rid(kit: Kit) -> str:
    """'ack' in the creation response is the rid of the creation request."""
    session = await kit.session(ack="1")
    found = session.granted("ack")
    offered(found, "no 'ack' in the creation response")
    expect(found == str(session.rid), f"ack='{found}', rid='{session.rid}'")
    return "the rid"


@section.must("A2", "XEP-0124 9.1")
async def nothing_is_acknowledged_unannounced(kit: Kit) -> str:
    """Without 'ack' in the creation response no later response has one, whatever the client announced."""
    unannounced = []
    for wish in ("1", None):
        session = await kit.session(ack=wish)
        if session.granted("ack") is None:
            unannounced.append(session)
    offered(unannounced, "'ack' is always announced")
    for session in unannounced:
        await session.features()
        first = session.send()
        await session.settle()
        second = session.send(attributes={"type": "terminate"})
        for answer in (await first.answer(PROMPT), await second.answer(PROMPT)):
            expect(answer.get("ack") is None, f"{answer}")
        session.ended = True
    return f"no 'ack' in {2 * len(unannounced)} responses"


@section.may("A1 HC9", "XEP-0124 9.1")
async def a_response_acknowledges_the_highest_rid(kit: Kit) -> str:
    """A response that is given because a higher rid came has 'ack' with that rid."""
    session = await _acking(kit)
    first = session.send()
    await session.settle()
    second = session.send()
    answer = await first.answer(PROMPT)
    expect(
        answer.get("ack") == str(second.rid), f"ack: {answer.get('ack') or 'absent'}, received {second.rid}"
    )
    return "the higher rid"


@section.should("A3 HC9", "XEP-0124 9.1")
async def its_own_rid_is_not_acknowledged(kit: Kit) -> str:
    """A response to the highest rid has no 'ack': it would say nothing."""
    session = await _acking(kit, wait="1")
    answer = await session.ask()
    expect(answer.get("ack") is None, f"ack='{answer.get('ack')}' in the response to {session.rid}")
    return "no 'ack'"


@section.must("A1 HC9", "XEP-0124 9.1", login=True)
async def nothing_above_a_hole_is_acknowledged(kit: Kit) -> str:
    """'ack' is a rid below which everything was received: never one above a missing rid."""
    session, peer = await _acking(kit, login=True, hold="1"), await kit.login()
    await kit.echo(peer)
    held = session.send()
    await session.settle()
    missing = session.rid + 1
    early = session.send(silent("early", kit.domain), rid=missing + 1)  # section 11 frowns on empty ones
    session.rid = missing + 1
    await session.settle()
    peer.send(message(session.jid, "meanwhile"))  # for the held request
    _expect_ack_below(await held.answer(PROMPT, "the held request"), missing)
    fills = session.send(ping("fill", kit.domain), rid=missing)
    _expect_ack_below(await fills.answer(PROMPT * 2, "the missing request"), early.rid + 1)
    await early.break_connection()
    return "not while a rid was missing"


def _expect_ack_below(answer: Answer, limit: int) -> None:
    expect(not answer.is_terminate, f"{answer}")
    found = answer.get("ack")
    expect(
        found is None or (found.isdecimal() and int(found) < limit), f"ack='{found}' while {limit} is missing"
    )


@section.must("C10 A5", "XEP-0124 9.2", login=True)
async def acknowledging_clients_are_served(kit: Kit) -> str:
    """A client that announces acks and puts them on its requests (Smack, jbosh) is served like any other."""
    session = await kit.login(ack="1")
    for number in range(3):
        name = f"a{number}"
        since = len(session.received)
        await session.ask(ping(name, kit.domain), {"ack": str(session.rid)})
        await session.wait_for(named(name), "the answer to a ping", since)
    return "3 pings with 'ack'"


@section.should("A8", "XEP-0124 14.3", login=True)
async def what_is_not_acknowledged_is_kept(kit: Kit) -> str:
    """With acks, responses that the client has not acknowledged can all be asked for again."""
    session = await _acking(kit, login=True)
    first_rid, sent = session.rid, []
    for number in range(session.requests + 2):
        sent.append(session.send(ping(f"u{number}", kit.domain), {"ack": str(first_rid)}))
        await sent[-1].answer(PROMPT)
    first = await sent[0].answer()
    again = await session.resend(sent[0].body, sent[0].rid).answer(PROMPT)
    expect(again.data == first.data, f"the response to the oldest of {len(sent)}: {again}")
    return f"the oldest of {len(sent)} was still there"


@section.may("A6 HC9", "XEP-0124 9.2", login=True)
async def a_missing_response_is_reported(kit: Kit) -> str:
    """An 'ack' below what was answered long ago is told 'report' and 'time', at once."""
    session = await _acking(kit, login=True)
    base = session.rid
    for number in range(2):
        await session.send(ping(f"r{number}", kit.domain), {"ack": str(base)}).answer(PROMPT)
    await asyncio.sleep(2.5)
    request = session.send(attributes={"ack": str(base)})
    if await request.is_held(PROMPT):
        raise NotOffered("a low 'ack' is not answered with a 'report'")
    answer = await request.answer()
    report, time = answer.get("report"), answer.get("time")
    offered(report, f"no 'report' but {answer}")
    expect(report == str(base + 1), f"report='{report}' instead of {base + 1}")
    milliseconds = int(time) if time is not None and time.isdecimal() else -1
    expect(2000 <= milliseconds <= 8000, f"time='{time}' after about 2500 ms")
    return f"report='{report}' time='{time}'"


@section.practice("A7", "XEP-0124 9.2", login=True)
async def a_nonsensical_ack_loses_nothing(kit: Kit) -> str:
    """An 'ack' above every rid frees no response that was not sent yet."""
    session = await kit.login(ack="1")
    since = len(session.received)
    answer = await session.ask(ping("sense", kit.domain), {"ack": str(session.rid + 1000)})
    if answer.is_terminate:
        expect_terminal(answer, "bad-request", what="a nonsensical ack")
        return "refused"
    await session.wait_for(named("sense"), "the answer to a ping", since)
    return "ignored"


@section.practice("C10", "clients: gloox", login=True)
async def an_ack_of_zero_is_no_wish(kit: Kit) -> str:
    """ack='0' in the creation request (gloox) does not make a request without ack mean anything."""
    session = await kit.login(ack="0")
    await kit.echo(session)
    sent = session.send(message(session.jid, "zero"))
    first = session.note(await sent.answer())
    again = await session.resend(sent.body, sent.rid).answer(PROMPT)
    expect(again.data == first.data, f"the last response is not there any more: {again}")
    return "the last response is kept"
