"""Forwarding, holding and answering: XEP-0124 section 8."""

import asyncio

from boshgate.conformance.bosh import LATE, PROMPT, expect_empty, expect_order
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named, ping, silent
from boshgate.namespaces import HTTPBIND

section = Section("Payloads", Transport.BOSH, prefix="payloads")


@section.should("P1 P5", "XEP-0124 8", login=True)
async def payloads_are_forwarded_at_once(kit: Kit) -> str:
    """A payload is forwarded when it comes, and what the server says goes out on the held request."""
    session = await kit.login()
    answer = await session.send(ping("now", kit.domain)).answer(PROMPT)
    expect(any(named("now")(each) for each in answer.payloads), f"no answer to the ping but {answer}")
    return f"a ping came back in {answer.seconds:.2f} s"


@section.should("P6 P10", "XEP-0124 8")
async def an_empty_request_is_held_for_wait(kit: Kit) -> str:
    """With nothing to deliver a request is answered after 'wait', not before and not later, and empty."""
    session = await kit.session(wait="2")
    await session.features()
    answer = await session.ask()
    expect_empty(answer, "after wait")
    wait = session.number("wait") or 0
    expect(wait - 1 <= answer.seconds <= wait + LATE, f"wait='{wait}', answered after {answer.seconds:.1f} s")
    return f"wait='{wait}', {answer.seconds:.1f} s"


@section.should("P10", "XEP-0124 8")
async def an_empty_response_is_bare(kit: Kit) -> str:
    """An empty response is <body xmlns='http://jabber.org/protocol/httpbind'/>, without attributes."""
    session = await kit.session(wait="1")
    await session.features()
    answer = await session.ask()
    expect_empty(answer, "after wait")
    expect(not answer.attributes, f"it has {' '.join(answer.attributes)}")
    expect(HTTPBIND in answer.wrapper.nsmap.values(), "it has another namespace")
    return "no attributes"


@section.must("P8", "XEP-0124 8", login=True)
async def a_request_with_payload_is_held_too(kit: Kit) -> str:
    """A request that brings payloads waits for the server just as an empty one does."""
    session = await kit.login(wait="3")
    request = session.send(silent("nothing", kit.domain))
    expect(await request.is_held(1.5), f"answered at once: {await request.seen()}")
    expect_empty(await request.answer(3 + LATE), "after wait")
    return "held until wait"


@section.should("P7 P9 P4", "XEP-0124 8, 4")
async def no_more_than_hold_are_held(kit: Kit) -> str:
    """With hold='1' a second request releases the first, at once and empty, and is held itself."""
    session = await kit.session()
    await session.features()
    first = session.send()
    expect(await first.is_held(kit.settle * 2), f"the first is not held: {await first.seen()}")
    second = session.send()
    expect_empty(await first.answer(PROMPT), "the first")
    expect(await second.is_held(1.0), f"the second is not held: {await second.seen()}")
    return "the first was released, the second is held"


@section.should("P7 HC6", "XEP-0124 8")
async def two_are_held_where_granted(kit: Kit) -> str:
    """With hold='2' granted two requests are held, and the third releases the first."""
    session = await kit.session(hold="2")
    await session.features()
    if session.number("hold") != 2:
        raise NotOffered(f"hold='2' was asked, hold='{session.granted('hold')}' is granted")
    held = [session.send()]
    await session.settle()
    held.append(session.send())
    expect(await held[0].is_held(1.0), f"the first of 2 was released: {await held[0].seen()}")
    third = session.send()
    expect_empty(await held[0].answer(PROMPT), "the first")
    expect(await held[1].is_held(0.5) and await third.is_held(0.5), "the second or third is not held")
    return "2 held, the third released the first"


@section.should("P5", "XEP-0124 8", login=True)
async def data_goes_to_the_held_request_at_once(kit: Kit) -> str:
    """What the server sends later goes out at once on the request that is held."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    held = await kit.hold(session)
    peer.send(message(session.jid, "push"))
    answer = await held.answer(PROMPT)
    expect(any(named("push")(each) for each in answer.payloads), f"{answer}")
    return f"delivered after {answer.seconds:.2f} s"


@section.must("P4 HC6", "XEP-0124 8, 14.2", login=True)
async def the_oldest_request_is_answered_first(kit: Kit) -> str:
    """When data is there and two requests are, the one with the lower rid is answered first."""
    session = await kit.login()
    await kit.echo(session)
    first = session.send()
    await session.settle()
    second = session.send("".join(message(session.jid, f"o{number}") for number in range(3)))
    first_answer = await first.answer(PROMPT)
    if not await second.is_held(PROMPT):
        expect_order(first_answer, await second.answer())
    return "in the order of rids"


@section.practice("P11", "XEP-0124 8", login=True)
async def data_waits_for_the_next_request(kit: Kit) -> str:
    """What comes while no request is there is kept, in order, and goes out at once with the next."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    wanted = [f"q{number}" for number in range(5)]
    for name in wanted:
        await peer.settle()
        peer.send(message(session.jid, name))
    await asyncio.sleep(max(0.5, kit.settle * 2))
    answer = await session.ask(within=PROMPT)
    found = [element.get("id") for element in answer.payloads]
    expect(found, f"nothing came with the next request: {answer}")
    since = len(session.received) - len(found)
    await session.wait_for(named(wanted[-1]), "the last of 5 messages", since)
    found = [element.get("id") for element in session.received[since:]]
    expect(found == wanted, f"came as {' '.join(map(str, found))}")
    return f"{len(answer.payloads)} of 5 in the first response"


@section.practice("P12 HC8", "XEP-0124 14.3", login=True)
async def data_for_a_broken_connection_is_kept(kit: Kit) -> str:
    """When the connection of the held request breaks, what comes then is delivered when it is sent again."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    held = await kit.hold(session)
    await held.break_connection()
    await session.settle()
    peer.send(message(session.jid, "kept"))
    await asyncio.sleep(max(0.5, kit.settle * 2))
    answer = session.note(await session.resend(held.body, held.rid).answer(PROMPT * 2))
    await session.wait_for(named("kept"), "the message", len(session.received) - len(answer.payloads))
    count = sum(named("kept")(each) for each in session.received)
    expect(count == 1, f"the message came {count} times")
    return "delivered once"


@section.practice("P12 HC8", "XEP-0124 14.3", login=True)
async def a_later_request_takes_over_from_a_broken_one(kit: Kit) -> str:
    """When the connection of the held request broke, the next rid gets what is there, at once and once."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    held = await kit.hold(session)
    await held.break_connection()
    await session.settle()
    peer.send(message(session.jid, "over"))
    await asyncio.sleep(max(0.5, kit.settle * 2))
    since = len(session.received)
    next_one = session.send()
    await session.settle()
    again = session.note(await session.resend(held.body, held.rid).answer(PROMPT * 2))
    answer = session.note(await next_one.answer(PROMPT * 2))
    count = sum(named("over")(each) for each in session.received[since:])
    expect(count == 1, f"the message came {count} times: {answer}, {again}")
    return "delivered once"


@section.must("P2 P4", "XEP-0124 8, 14.2", login=True)
async def a_busy_session_keeps_its_order(kit: Kit) -> str:
    """40 messages in 20 requests, two at a time, come back in order and once."""
    session = await kit.login()
    await kit.echo(session)
    wanted = [f"b{number}" for number in range(40)]
    since = len(session.received)
    pending = []
    for first, second in zip(wanted[::2], wanted[1::2], strict=True):
        pending.append(session.send(message(session.jid, first) + message(session.jid, second)))
        if len(pending) > 1:
            session.note(await pending.pop(0).answer())
    await session.read(pending, named(wanted[-1]), "the last of 40 messages", since)
    found = [element.get("id") for element in session.received[since:]]
    expect(found == wanted, f"{len(found)} came, {len(set(found))} different: {' '.join(map(str, found))}")

    return "40 messages in order"
