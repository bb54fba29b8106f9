"""Ending a session: XEP-0124 section 13."""

import asyncio

from boshgate.conformance.bosh import PROMPT, expect_empty
from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named, ping

section = Section("Terminate", Transport.BOSH, prefix="terminate")

END = {"type": "terminate"}


@section.should("T2", "XEP-0124 13")
async def terminate_is_acknowledged(kit: Kit) -> str:
    """A terminate request that is alone is answered with type='terminate', without a condition."""
    session = await kit.session()
    await session.features()
    answer = await session.ask(attributes=END, within=PROMPT * 2)
    expect(answer.is_terminate, f"{answer}")
    expect(answer.get("condition") is None, f"condition='{answer.get('condition')}'")
    return f"after {answer.seconds:.2f} s"


@section.should("T2 HC12", "XEP-0124 13")
async def the_oldest_request_is_told(kit: Kit) -> str:
    """With a request held, that one is answered with type='terminate', and the terminate request empty."""
    session = await kit.session()
    await session.features()
    held = await kit.hold(session)
    end = session.send(attributes=END)
    oldest, last = await held.answer(PROMPT * 2), await end.answer(PROMPT * 2)
    session.ended = True
    expect(oldest.is_terminate and oldest.get("condition") is None, f"the held request: {oldest}")
    expect_empty(last, "the terminate request")
    return "the held request; the terminate request was answered empty"


@section.must("T1 HC12", "XEP-0124 13", login=True)
async def the_last_payload_is_forwarded(kit: Kit) -> str:
    """What comes with the terminate request reaches the server."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(peer)
    await session.ask(message(peer.jid, "farewell"), END)
    await peer.wait_for(named("farewell"), "what came with the terminate request")
    return "delivered"


@section.must("T1 SM6", "XEP-0124 13", login=True)
async def the_server_is_told(kit: Kit) -> str:
    """After terminate the stream to the server is closed: nobody is there any more."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(peer)
    await session.ask(attributes=END)
    for number in range(10):
        name = f"gone{number}"
        try:
            answer = await peer.exchange(ping(name, session.jid), named(name), "an answer")
        except Fails:
            raise Fails(f"the server still delivers to the session after {number + 1} tries") from None
        if answer.get("type") == "error":
            return "the server says that nobody is there"
        await asyncio.sleep(0.3)
    raise Fails("the session is still there for the server")


@section.should("T5 T2", "XEP-0124 13, 10")
async def a_terminated_session_is_gone(kit: Kit) -> str:
    """A new request after the end is item-not-found."""
    session = await kit.session()
    await session.ask(attributes=END)
    await session.expect_gone("a request after the end")
    return "item-not-found"


@section.practice("T5 HC12", "XEP-0124 14.3")
async def a_resent_terminate_is_answered_alike(kit: Kit) -> str:
    """A terminate request whose response was lost may be sent again: no error comes of it."""
    session = await kit.session()
    end = session.send(attributes=END)
    first = session.note(await end.answer())
    again = await session.resend(end.body, end.rid).answer(PROMPT)
    expect(again.get("condition") is None, f"{again} instead of {first}")
    return "the same again"


@section.must("T4 P2", "XEP-0124 14.2", login=True)
async def terminate_waits_for_its_turn(kit: Kit) -> str:
    """A terminate request that overtakes another is carried out after it."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(peer)
    rid = session.rid
    end = session.send(attributes=END, rid=rid + 2)
    await session.settle()
    late = session.send(message(peer.jid, "overtaken"), rid=rid + 1)
    answers = [await late.answer(), await end.answer()]
    session.ended = True
    expect(any(answer.is_terminate for answer in answers), f"{answers[0]}, {answers[1]}")
    expect(not any(answer.get("condition") for answer in answers), f"{answers[0]}, {answers[1]}")
    await peer.wait_for(named("overtaken"), "the message that was overtaken")
    return "the message was delivered first"


@section.practice("T8", "clients: gloox")
async def terminal_is_taken_for_terminate(kit: Kit) -> str:
    """type='terminal', as gloox sends it, ends the session."""
    session = await kit.session()
    await session.features()
    request = session.send(attributes={"type": "terminal"})
    expect(not await request.is_held(PROMPT), "it is held like an ordinary request")
    session.note(await request.answer())
    await session.expect_gone("the next request")
    return "the session is over"


@section.should("T3 P5", "XEP-0124 13, 8", login=True)
async def what_waits_is_delivered_at_the_end(kit: Kit) -> str:
    """What the server said before the end goes out with the last responses."""
    session, peer = await kit.login(), await kit.login()
    await kit.echo(session)
    peer.send(message(session.jid, "before"))
    await asyncio.sleep(max(0.5, kit.settle * 3))
    since = len(session.received)
    await session.ask(attributes=END)
    expect(any(named("before")(each) for each in session.received[since:]), "the message that waited is lost")
    return "delivered"


@section.must("T1 P16", "XEP-0124 8")
async def an_unauthenticated_session_ends_alike(kit: Kit) -> str:
    """A session that never logged in is terminated like any other, with what waits for its login too."""
    session = await kit.session()
    answer = await session.ask(ping("early", kit.domain), END, within=PROMPT * 3)
    if answer.get("condition") == "remote-stream-error":
        raise NotOffered("the server answers a stanza before the login with a stream error")
    expect(answer.is_terminate, f"{answer}")
    return "terminated"
