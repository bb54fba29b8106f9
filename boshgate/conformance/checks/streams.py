"""Multiple streams in one session: XEP-0124 section 16, optional."""

import asyncio

from boshgate.conformance.bosh import FEATURES, PROMPT, RESTARTLOGIC, Bosh, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import Element, named, ping, tag

section = Section("Streams", Transport.BOSH, prefix="streams")

NOT_AGAIN = {
    "sid",
    "requests",
    "polling",
    "hold",
    "inactivity",
    "maxpause",
    "accept",
    "charsets",
    "ver",
    "wait",
}


async def _multiplexing(kit: Kit, *, login: bool = False) -> tuple[Bosh, str]:
    """A session that may have several streams, and the name of its first."""
    session = await kit.session()
    first = session.granted("stream")
    if first is None:
        raise NotOffered("no 'stream' in the creation response")
    if login:
        await kit.log_in(session)
    else:
        await session.features()
    return session, first


async def _add_stream(kit: Kit, session: Bosh) -> tuple[str, Answer]:
    """Open another stream: its name, and the response that told it."""
    answer = await session.ask(attributes={"to": kit.domain, "xml:lang": "en", "xmpp:version": "1.0"})
    for _ in range(3):
        if answer.get("stream") is not None or answer.is_terminate:
            break
        answer = await session.ask()
    name = answer.get("stream")
    expect(name is not None and not answer.is_terminate, f"no new stream but {answer}")
    return name or "", answer


async def _two(kit: Kit, *, login: bool = False) -> tuple[Bosh, str, str]:
    """A session with two streams, the first logged in with *login*, the features of the second read."""
    session, first = await _multiplexing(kit, login=login)
    since = len(session.received)
    second, _ = await _add_stream(kit, session)
    await session.wait_for(_is_features, "the features of the second stream", since)
    return session, first, second


def _is_features(element: Element) -> bool:
    return tag(element) == FEATURES


@section.must("M2", "XEP-0124 16.3")
async def without_support_to_is_ignored(kit: Kit) -> str:
    """Where 'stream' was not announced, an empty request with 'to' is an ordinary empty request."""
    session = await kit.session()
    if session.granted("stream") is not None:
        raise NotOffered("multiple streams are offered")
    await session.features()
    request = session.send(attributes={"to": kit.domain, "xml:lang": "en"})
    expect(await request.is_held(1.0), f"{await request.seen()}")
    return "held"


@section.must("M1", "XEP-0124 16.2")
async def stream_names_are_unpredictable(kit: Kit) -> str:
    """Every stream has a name of its own."""
    session, first = await _multiplexing(kit)
    second, _ = await _add_stream(kit, session)
    _, other = await _multiplexing(kit)
    names = {first, second, other}
    expect(len(names) == 3, f"3 streams are named {', '.join(names)}")
    expect(min(map(len, names)) >= 8, f"a name has {min(map(len, names))} characters")
    return f"{min(map(len, names))} characters"


@section.should("M3", "XEP-0124 16.3")
async def adding_a_stream_announces_little(kit: Kit) -> str:
    """The response to a new stream names it, and has nothing of the creation response."""
    session, _ = await _multiplexing(kit)
    _, answer = await _add_stream(kit, session)
    again = (NOT_AGAIN | {RESTARTLOGIC}) & set(answer.attributes)
    expect(not again, f"it has {' '.join(sorted(again))}")
    return f"it has {' '.join(sorted(answer.attributes))}"


@section.must("M3", "XEP-0124 16.3")
async def the_new_stream_has_features(kit: Kit) -> str:
    """The new stream is one to the server: its features come, under its name."""
    session, _, second = await _two(kit)
    body = session.received[-1].getparent()
    assert body is not None, "a payload is in a body"
    expect(body.get("stream") == second, f"the features came for stream='{body.get('stream')}'")
    return "features under its name"


@section.must("M4", "XEP-0124 16.4", login=True)
async def every_body_names_its_stream(kit: Kit) -> str:
    """Once there are several streams every body with payloads says whose they are."""
    session, first, _ = await _two(kit, login=True)
    since = len(session.received)
    await session.ask(ping("whose", kit.domain), {"stream": first})
    answer = await session.wait_for(named("whose"), "the answer to a ping", since)
    body = answer.getparent()
    assert body is not None, "a payload is in a body"
    expect(body.get("stream") == first, f"stream='{body.get('stream')}' instead of the first")
    return "the first stream's name"


@section.should("M5 E5", "XEP-0124 16.4")
async def an_unknown_stream_is_item_not_found(kit: Kit) -> str:
    """A payload for a stream that was never there is item-not-found."""
    session, _, _ = await _two(kit)
    answer = await session.ask(ping("lost", kit.domain), {"stream": "no-such-stream"})
    expect_terminal(answer, "item-not-found", what="an unknown stream")
    return "item-not-found"


@section.should("M6", "XEP-0124 16.4, note")
async def the_stream_of_an_empty_request_is_ignored(kit: Kit) -> str:
    """An empty request is for no stream, whatever it says."""
    session, first, _ = await _two(kit)
    held = session.send(attributes={"stream": first})
    expect(await held.is_held(1.0), f"{await held.seen()}")
    return "held"


@section.must("M7", "XEP-0124 16.5", login=True)
async def one_stream_can_be_closed(kit: Kit) -> str:
    """terminate with 'stream' closes that stream, and the session goes on with the others."""
    session, first, second = await _two(kit, login=True)
    answer = await session.ask(attributes={"type": "terminate", "stream": second})
    expect(not answer.is_terminate or answer.get("stream") == second, f"{answer}")
    session.ended = False
    since = len(session.received)
    await session.ask(ping("still", kit.domain), {"stream": first})
    await session.wait_for(named("still"), "the answer to a ping on the first stream", since)
    return "the first goes on"


@section.must("M7", "XEP-0124 16.5")
async def the_last_stream_ends_the_session(kit: Kit) -> str:
    """When the last stream is closed the session is over."""
    session, first, second = await _two(kit)
    for name in (second, first):
        await session.send(attributes={"type": "terminate", "stream": name}).answer(PROMPT * 2)
    session.ended = True
    await asyncio.sleep(0.3)
    await session.expect_gone("a request after the last stream was closed")
    return "item-not-found"


@section.must("M7", "XEP-0124 16.5")
async def terminate_without_a_stream_ends_all(kit: Kit) -> str:
    """terminate without 'stream' ends every stream, and the session."""
    session, _, _ = await _two(kit)
    answer = await session.ask(attributes={"type": "terminate"})
    expect(answer.is_terminate and answer.get("stream") is None, f"{answer}")
    await session.expect_gone("the next request")
    return "the session is over"


@section.must("M4 M9", "XEP-0124 16.4", login=True)
async def a_request_without_stream_goes_to_all(kit: Kit) -> str:
    """Payloads of a request without 'stream' are sent over every open stream."""
    session, first, second = await _two(kit, login=True)
    session.adds = lambda: {"stream": second}
    await kit.log_in(session)
    session.adds = None
    since = len(session.received)
    await session.ask(ping("all", kit.domain))
    whose: set[str | None] = set()
    for _ in range(6):
        found = [element for element in session.received[since:] if element.get("id") == "all"]
        whose = {_stream_of(element) for element in found}
        if len(found) > 1:
            break
        await session.ask(within=PROMPT)
    expect(whose == {first, second}, f"answers on {len(whose)} of 2 streams")
    return "both streams answered"


@section.must("M4", "XEP-0124 16.4", login=True)
async def streams_never_share_a_body(kit: Kit) -> str:
    """A <body/> has the payloads of one stream only, and its name: what is for another comes in another."""
    session, first, second = await _two(kit, login=True)
    whose = {session.jid: first}
    session.adds = lambda: {"stream": second}
    await kit.log_in(session)
    session.adds = None
    whose[session.jid] = second
    since = len(session.received)
    wanted = [f"mixed{number}" for number in range(3)]
    await session.ask("".join(ping(name, kit.domain) for name in wanted))  # without a name: over both
    for _ in range(2 * len(wanted)):
        answers = [element for element in session.received[since:] if element.get("id") in wanted]
        if len(answers) == 2 * len(wanted):
            break
        await session.ask(within=PROMPT)
    for answer in answers:
        name = whose.get(answer.get("to", ""))
        if name is None:
            raise NotOffered("the server does not say whom it answers")
        expect(
            _stream_of(answer) == name, f"an answer to {answer.get('to')} is in a body of the other stream"
        )
    expect(len(answers) == 2 * len(wanted), f"{len(answers)} of {2 * len(wanted)} answers came")
    return f"{len(answers)} answers, each in a body of its stream"


def _stream_of(element: Element) -> str | None:
    body = element.getparent()
    return None if body is None else body.get("stream")
