"""Broken connections: requests that are sent again (XEP-0124 section 14.3)."""

import asyncio

from boshgate.conformance.bosh import LATE, PROMPT, expect_empty, expect_terminal
from boshgate.conformance.check import Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named, ping

section = Section("Repeats", Transport.BOSH, prefix="repeats")


@section.should("R5 HC1", "XEP-0124 14.3", login=True)
async def an_answered_request_gets_the_same_again(kit: Kit) -> str:
    """A rid that was answered is answered again, at once, with the same XML."""
    session = await kit.login()
    sent = session.send(ping("same", kit.domain))
    first = session.note(await sent.answer())
    expect(first.payloads, f"no answer to the ping but {first}")
    for number in range(3):
        again = await session.resend(sent.body, sent.rid).answer(PROMPT)
        expect(again.data == first.data, f"repeat {number + 1}: {again} instead of {first}")
    return f"3 times the same {len(first.data)} bytes"


@section.must("R5 SM3 HC1", "XEP-0124 14.3", login=True)
async def a_repeat_is_not_forwarded_again(kit: Kit) -> str:
    """The payload of a repeated request is forwarded once."""
    session = await kit.login()
    await kit.echo(session)
    since = len(session.received)
    sent = session.send(message(session.jid, "once"))
    session.note(await sent.answer())
    await session.wait_for(named("once"), "the message", since)
    last = session.send()
    await session.settle()
    await session.resend(sent.body, sent.rid).answer(PROMPT)
    fence = session.send(ping("fence", kit.domain))
    await session.read([last, fence], named("fence"), "the answer to a ping", since)
    count = sum(named("once")(each) for each in session.received[since:])
    expect(count == 1, f"the message came {count} times")
    return "forwarded once"


@section.should("R4", "XEP-0124 14.3", login=True)
async def as_many_responses_are_kept_as_requests(kit: Kit) -> str:
    """The last 'requests' responses can all be asked for again."""
    session = await kit.login()
    sent, answers = [], []
    for number in range(session.requests):
        sent.append(session.send(ping(f"keep{number}", kit.domain)))
        answers.append(session.note(await sent[-1].answer()))
    for request, first in zip(sent, answers, strict=True):
        again = await session.resend(request.body, request.rid).answer(PROMPT)
        expect(again.data == first.data, f"rid {request.rid} of {session.rid}: {again} instead of {first}")
    return f"{len(sent)} responses"


@section.must("R7 E5 HC5", "XEP-0124 14.3", login=True)
async def an_old_rid_is_item_not_found(kit: Kit) -> str:
    """A rid whose response is not kept any more is item-not-found."""
    session = await kit.login()
    old = session.send(ping("old", kit.domain))
    session.note(await old.answer())
    for number in range(session.requests + 8):
        session.note(await session.send(ping(f"new{number}", kit.domain)).answer())
    what = f"a rid {session.requests + 8} before the last"
    answer = await session.resend(old.body, old.rid).answer(PROMPT, what)
    session.ended = answer.is_terminate
    expect_terminal(answer, "item-not-found", what=what)
    return "item-not-found"


@section.should("R6 E15 HC2", "XEP-0124 14.3, 17.3", login=True)
async def a_repeat_takes_over_from_a_held_request(kit: Kit) -> str:
    """Of two requests with one rid the older gets type='error' at once; the newer gets what comes."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    held = await kit.hold(session)
    again = session.resend(held.body, held.rid)
    older = await held.answer(PROMPT, "the older request")
    expect(older.is_error, f"the older request: {older}")
    expect(await again.is_held(0.5), f"the newer request: {await again.seen()}")
    peer.send(message(session.jid, "taken"))
    newer = session.note(await again.answer(PROMPT * 2))
    expect(any(named("taken")(each) for each in newer.payloads), f"the newer request: {newer}")
    return "type='error' for the older, the message for the newer"


@section.should("E15", "XEP-0124 17.3")
async def a_recoverable_error_is_bare(kit: Kit) -> str:
    """A recoverable condition is <body type='error'/> without anything else, and the session goes on."""
    session = await kit.session()
    await session.features()
    held = session.send()
    await session.settle()
    again = session.resend(held.body, held.rid)
    older = await held.answer(PROMPT, "the older request")
    expect(older.is_error and not older.payloads, f"{older}")
    expect(set(older.attributes) == {"type"}, f"it has {' '.join(older.attributes)}")
    await again.break_connection()
    expect(await session.is_alive(), "the session is over")
    return "bare, and the session goes on"


@section.practice("R6 P6", "XEP-0124 8, 14.3")
async def repeats_do_not_prolong_the_wait(kit: Kit) -> str:
    """A held request that is repeated is answered when 'wait' is over for the first of its kind."""
    session = await kit.session(wait="3")
    await session.features()
    held = session.send()
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(1.5)
    again = session.resend(held.body, held.rid)
    answer = await again.answer(3 + LATE)
    expect_empty(answer, "the repeat")
    seconds = asyncio.get_running_loop().time() - began
    expect(seconds < 3 + 1.2, f"answered {seconds:.1f} s after the first of its kind, with wait='3'")
    return f"after {seconds:.1f} s"


@section.practice("R9 HC1", "XEP-0124 14.3", login=True)
async def a_changed_repeat_is_not_processed(kit: Kit) -> str:
    """A known rid with another content is not a copy: nothing of it is forwarded."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(peer)
    await session.ask(ping("known", kit.domain))
    changed = session.send(message(peer.jid, "forged"), rid=session.rid)
    answer = await changed.answer(PROMPT)
    session.ended = answer.is_terminate
    since = len(peer.received)
    await peer.exchange(ping("fence", kit.domain), named("fence"), "the answer to a ping")
    expect(not any(named("forged")(each) for each in peer.received[since:]), "it was forwarded")
    return "refused" if answer.is_terminate else "the first response again"


@section.should("R5 P7", "XEP-0124 14.3", login=True)
async def a_repeat_leaves_others_held(kit: Kit) -> str:
    """A repeat of an answered rid releases no request that is held."""
    session = await kit.login()
    sent = session.send(ping("again", kit.domain))
    first = session.note(await sent.answer())
    held = session.send()
    await session.settle()
    again = await session.resend(sent.body, sent.rid).answer(PROMPT)
    expect(again.data == first.data, f"the repeat: {again}")
    expect(await held.is_held(0.7), f"the held request: {await held.seen()}")
    return "the later request stays held"


@section.should("R5 R12 H2", "XEP-0124 14.3", login=True)
async def a_lost_response_is_not_lost(kit: Kit) -> str:
    """A request whose connection broke while the response was on its way is answered when sent again."""
    session = await kit.login()
    await kit.echo(session)
    since = len(session.received)
    sent = session.send(message(session.jid, "lost"))
    await asyncio.sleep(kit.settle / 2)
    await sent.break_connection()
    session.note(await session.resend(sent.body, sent.rid).answer(PROMPT * 2))
    await session.wait_for(named("lost"), "the message", since)
    await session.exchange(ping("fence", kit.domain), named("fence"), "the answer to a ping")
    count = sum(named("lost")(each) for each in session.received[since:])
    expect(count == 1, f"the message came {count} times")
    return "delivered once"
