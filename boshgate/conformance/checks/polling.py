"""Overactivity and polling sessions: XEP-0124 sections 11 and 12."""

import asyncio

from boshgate.conformance.bosh import PROMPT, Bosh, Pending, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.runner import CHECK_SECONDS
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import message, named, ping, silent

section = Section("Polling", Transport.BOSH, prefix="polling")

ROUNDS = 15
LONGEST_INTERVAL = 5
"""Seconds; every check waits for some intervals."""

AFTER_LOGIN = 3
"""Intervals that the longest check waits for when it has logged in; a login waits for up to six more."""

POLLS = 3
"""How often a poll that is too fast is tried, where the way to the endpoint may have taken the time."""


async def polling(kit: Kit, *, login: bool = False, **attributes: str | None) -> Bosh:
    """A polling session in which nothing waits for the client, and whose next poll is not too early."""
    session = await kit.session(**({"wait": "0"} | attributes))
    interval = session.number("polling") or 0
    if interval > LONGEST_INTERVAL:
        raise NotOffered(f"polling='{interval}' is too long to wait for")
    session.poll_interval = interval + 0.3
    if login:
        await _log_in(kit, session, interval)
    else:
        await session.features()
    await asyncio.sleep(session.poll_interval)
    return session


async def _log_in(kit: Kit, session: Bosh, interval: int) -> None:
    """Log in while there is time for the check itself: nobody is to blame for the interval they ask for."""
    try:
        async with asyncio.timeout(CHECK_SECONDS - AFTER_LOGIN * (session.poll_interval + 1)):
            await kit.log_in(session)
    except TimeoutError:
        raise NotOffered(f"with polling='{interval}' a login takes longer than a check may") from None


def limit_of(session: Bosh) -> int:
    """The interval that is announced; where none is, polling is not limited."""
    interval = session.number("polling")
    if not interval:
        raise NotOffered("no 'polling' in the creation response, or '0'")
    return interval


async def poll_too_fast(session: Bosh) -> Answer:
    """The response to a poll that came sooner than 'polling' seconds after one that was answered empty.

    Both were under way in that time: it is no fault of the endpoint's where they took longer.
    """
    interval = limit_of(session)
    loop = asyncio.get_running_loop()
    for _ in range(POLLS):
        began = loop.time()
        first = await session.send().answer(PROMPT)
        expect(first.is_empty, f"the first poll: {first}")
        second = await session.send().answer(PROMPT)
        if second.status != 200 or second.is_terminate or loop.time() - began < interval:
            return second
        await asyncio.sleep(session.poll_interval)
    raise NotOffered(f"two polls take longer than polling='{interval}' here")


@section.must("O6 C7", "XEP-0124 12, 7.1")
async def with_a_wait_of_zero_nothing_is_held(kit: Kit) -> str:
    """wait='0' makes a polling session: every request is answered at once."""
    answer = await (await polling(kit)).ask(within=PROMPT)
    expect(not answer.is_terminate, f"{answer}")
    return f"after {answer.seconds:.2f} s"


@section.must("O6 C7", "XEP-0124 12, 7.1")
async def with_a_hold_of_zero_nothing_is_held(kit: Kit) -> str:
    """hold='0' makes a polling session too, whatever 'wait' is."""
    answer = await (await polling(kit, wait="20", hold="0")).ask(within=PROMPT)
    expect(not answer.is_terminate, f"{answer}")
    return f"after {answer.seconds:.2f} s"


@section.must("O6 B10", "XEP-0124 12", login=True)
async def a_polling_client_can_log_in_and_talk(kit: Kit) -> str:
    """A client with one connection, which polls, gets what the server says."""
    session = await polling(kit, login=True)
    await session.exchange(ping("poll", kit.domain), named("poll"), "the answer to a ping")
    return "a ping was answered"


@section.should("O3 HC11", "XEP-0124 12")
async def polling_too_fast_is_a_violation(kit: Kit) -> str:
    """Two empty requests sooner than 'polling', the first answered empty, end a polling session."""
    session = await polling(kit)
    expect_terminal(await poll_too_fast(session), "policy-violation", what="a second poll at once")
    session.ended = True
    return "policy-violation"


@section.must("O4", "XEP-0124 12")
async def polling_is_free_where_nothing_is_announced(kit: Kit) -> str:
    """Without 'polling' in the creation response a client may poll as fast as it likes."""
    session = await kit.session(wait="0")
    if session.number("polling"):
        raise NotOffered("'polling' is announced")
    for _ in range(ROUNDS):
        expect(not (await session.ask(within=PROMPT)).is_terminate, "the session was ended")
    return f"{ROUNDS} polls at once"


@section.should("O3 HC11", "XEP-0124 12", login=True)
async def polling_goes_on_after_a_payload(kit: Kit) -> str:
    """Where the first response had a payload the next poll may follow at once."""
    session, peer = await polling(kit, login=True), await kit.login()
    limit_of(session)
    for number in range(2):
        peer.send(message(session.jid, f"more{number}"))
        await asyncio.sleep(max(0.4, kit.settle * 2))
    await asyncio.sleep(session.poll_interval)
    first = await session.ask(within=PROMPT)
    expect(first.payloads, f"nothing was delivered: {first}")
    second = await session.ask(within=PROMPT)
    expect(not second.is_terminate, f"the poll after a response with a payload: {second}")
    return "not a violation"


@section.should("O3 HC11", "XEP-0124 12", login=True)
async def talking_is_not_polling(kit: Kit) -> str:
    """A request with a payload may follow an empty one at once."""
    session = await polling(kit, login=True)
    limit_of(session)
    for number in range(3):
        answer = await session.ask(silent(f"talk{number}", kit.domain), within=PROMPT)
        expect(not answer.is_terminate, f"request {number + 1} with a payload: {answer}")
    return "3 requests at once"


@section.should("O3 HC11", "XEP-0124 12")
async def ending_is_not_polling(kit: Kit) -> str:
    """A request that ends the session may follow an empty one at once."""
    session = await polling(kit)
    limit_of(session)
    await session.ask(within=PROMPT)
    expect(await session.is_alive(), "terminate was taken for a poll")
    return "terminated without a condition"


@section.should("O2", "XEP-0124 11", login=True)
async def a_busy_client_is_not_overactive(kit: Kit) -> str:
    """In an ordinary session a new empty request right after each response is what is expected."""
    session = await kit.login()
    await kit.echo(session)
    since = len(session.received)
    pending: list[Pending] = []
    for number in range(ROUNDS):
        pending.append(session.send())
        await session.settle()
        pending.append(session.send(message(session.jid, f"busy{number}")))
        await session.read(pending, named(f"busy{number}"), f"message {number + 1}", since)
    return f"{ROUNDS} rounds at once"


@section.should("O2", "XEP-0124 11")
async def asking_too_often_is_a_violation(kit: Kit) -> str:
    """As many requests as 'requests' unanswered, the last empty and sooner than 'polling', are too many."""
    session = await kit.session()
    interval = limit_of(session)
    if kit.settle * 3 > interval:
        raise NotOffered(f"polling='{interval}' is too short for requests that take {kit.settle:.1f} s")
    await session.features()
    rid = session.rid
    held = session.send()  # rid + 1; rid + 2 never comes
    await session.settle()
    for number in range(3, session.requests + 1):
        session.send(silent(f"early{number}", kit.domain), rid=rid + number)
    await session.settle()
    last = session.send(rid=rid + session.requests + 1)
    expect(not await last.is_held(PROMPT), f"{session.requests} requests wait, the last one empty")
    session.ended = True
    expect_terminal(await last.answer(), "policy-violation", what="the last request")
    await held.answer(PROMPT, "the held request")
    return "policy-violation"


@section.should("O1 O7", "XEP-0124 11")
async def too_many_requests_end_the_session(kit: Kit) -> str:
    """More requests than 'requests' at once, none of which can be answered, end the session."""
    session = await kit.session()
    await session.features()
    limit, first = session.requests, session.rid
    early = [session.send(rid=first + number) for number in range(2, limit + 1)]
    await session.settle()
    answer = await session.send(rid=first + limit + 1).answer(PROMPT)
    session.ended = True
    expect_terminal(answer, "policy-violation", "item-not-found", what=f"{limit + 1} requests")
    for request in early:
        await request.answer(PROMPT)
    return str(answer.get("condition"))
