"""Key sequences: XEP-0124 section 15. A connection manager may verify them, and says so only by refusing."""

import hashlib
import secrets
from collections.abc import Iterator

from boshgate.conformance.bosh import LATE, PROMPT, Bosh, expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.xml import message, named, ping

section = Section("Keys", Transport.BOSH, prefix="keys")

LENGTH = 30
WRONG = "0" * 40


def sequence(length: int = LENGTH, *, upper: bool = False) -> Iterator[str]:
    """K(n), K(n-1), ... K(1) of a new seed (section 15.3)."""
    keys = []
    text = secrets.token_hex(16)
    for _ in range(length):
        text = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        text = text.upper() if upper else text
        keys.append(text)
    return reversed(keys)


async def _keyed(kit: Kit, *, upper: bool = False, login: bool = False, wait: str = "20") -> Bosh:
    """A session whose requests carry keys."""
    keys = sequence(upper=upper)
    session = await kit.session(newkey=next(keys), wait=wait)
    session.adds = lambda: {"key": next(keys)}
    if login:
        await kit.log_in(session)
    else:
        await session.features()
    return session


async def _verified(kit: Kit) -> None:
    """Ends the check where keys are not looked at."""
    session = await _keyed(kit)
    session.adds = lambda: {"key": WRONG}
    answer = await session.ask(attributes={"type": "terminate"})
    if answer.get("condition") is None:
        raise NotOffered("keys are not verified")


@section.must("K1 HC15", "XEP-0124 15.4", login=True)
async def the_right_keys_are_taken(kit: Kit) -> str:
    """A client that uses keys (JSJaC, tclxmpp) can log in and talk."""
    session = await _keyed(kit, login=True)
    await session.exchange(ping("key", kit.domain), named("key"), "the answer to a ping")
    return "a login and a ping"


@section.must("K2 E5 HC14", "XEP-0124 15.4")
async def a_wrong_key_ends_the_session(kit: Kit) -> str:
    """A key that does not hash to the one before is item-not-found, and ends the session."""
    await _verified(kit)
    session = await _keyed(kit)
    good = session.adds
    session.adds = lambda: {"key": WRONG}
    expect_terminal(await session.ask(within=PROMPT), "item-not-found", what="a wrong key")
    session.adds = good
    await session.expect_gone("the next request")
    return "item-not-found, and the session is over"


@section.must("K2", "XEP-0124 15.4")
async def a_missing_key_ends_the_session(kit: Kit) -> str:
    """A request without a key, where the one before had one, is item-not-found."""
    await _verified(kit)
    session = await _keyed(kit)
    session.adds = None
    expect_terminal(await session.ask(within=PROMPT), "item-not-found", what="a missing key")
    return "item-not-found"


@section.must("K2 HC14", "XEP-0124 15.4", login=True)
async def a_request_with_a_wrong_key_is_not_processed(kit: Kit) -> str:
    """Nothing of a request with a wrong key is forwarded."""
    await _verified(kit)
    session, peer = await _keyed(kit, login=True), await kit.login()
    await kit.echo(peer)
    since = len(peer.received)
    session.adds = lambda: {"key": WRONG}
    await session.ask(message(peer.jid, "injected"), within=PROMPT)
    await peer.exchange(ping("fence", kit.domain), named("fence"), "the answer to a ping")
    expect(not any(named("injected")(each) for each in peer.received[since:]), "it was forwarded")
    return "not forwarded"


@section.should("K2 HC15", "XEP-0124 15.3")
async def keys_are_compared_without_case(kit: Kit) -> str:
    """The case of hexadecimal digits means nothing: a hash in lower case fits a key in capitals."""
    session = await _keyed(kit, upper=True)
    answer = await session.ask(attributes={"type": "terminate"})
    expect(answer.get("condition") is None, f"keys in capitals: {answer}")
    return "keys in capitals are taken"


@section.must("K3 HC15", "XEP-0124 15.5")
async def a_sequence_may_be_followed_by_another(kit: Kit) -> str:
    """A request with 'key' and 'newkey' ends one sequence and begins the next."""
    session = await _keyed(kit)
    assert session.adds is not None, "_keyed() gives one"
    last, keys = session.adds(), sequence()
    following = iter([{**last, "newkey": next(keys)}])
    session.adds = lambda: next(following, None) or {"key": next(keys)}
    held = session.send()
    await session.settle()
    answer = await session.ask(attributes={"type": "terminate"})
    expect(answer.get("condition") is None, f"the key after the switch: {answer}")
    await held.answer(PROMPT)
    return "the next key was one of the new sequence"


@section.must("K3", "XEP-0124 15.5")
async def the_old_sequence_is_over_after_a_switch(kit: Kit) -> str:
    """After 'newkey' the next key of the old sequence is wrong."""
    await _verified(kit)
    session = await _keyed(kit)
    old = session.adds
    assert old is not None, "_keyed() gives one"
    switch = {**old(), "newkey": next(sequence())}
    session.adds = lambda: switch
    held = session.send()
    await session.settle()
    session.adds = old
    expect_terminal(await session.ask(within=PROMPT), "item-not-found", what="a key of the old sequence")
    await held.answer(PROMPT)
    return "item-not-found"


@section.must("K4 HC15", "XEP-0124 15.4, 14.2")
async def keys_are_checked_in_the_order_of_rids(kit: Kit) -> str:
    """Requests that overtake one another are checked in the order of their rids."""
    session = await _keyed(kit, wait="3")
    assert session.adds is not None, "_keyed() gives one"
    keys, rid = session.adds, session.rid
    first, second = keys(), keys()
    session.adds = lambda: second
    early = session.send(rid=rid + 2)
    await session.settle()
    session.adds = lambda: first
    late = session.send(rid=rid + 1)
    for request, what in ((late, "the late request"), (early, "the early request")):
        answer = await request.answer(3 + LATE, what)
        expect(not answer.is_terminate, f"{what}: {answer}")
    session.adds, session.rid = keys, rid + 2
    return "neither was refused"


@section.must("K5 HC15", "XEP-0124 14.3, 15.4")
async def a_repeat_has_the_key_it_had(kit: Kit) -> str:
    """A request that is sent again has its own key, and the sequence goes on where it was."""
    session = await _keyed(kit)
    first = session.send()
    await session.settle()
    second = session.send()
    await first.answer(PROMPT)
    again = await session.resend(first.body, first.rid).answer(PROMPT)
    expect(not again.is_terminate, f"the repeat: {again}")
    expect(await session.is_alive(), "the key after the repeat was refused")
    await second.answer(PROMPT)
    return "the repeat was answered, and the next key taken"


@section.practice("K6", "XEP-0124 15.4")
async def keys_without_a_beginning_mean_nothing(kit: Kit) -> str:
    """In a session that began without 'newkey' a 'key' is ignored."""
    session = await kit.session()
    answer = await session.ask(attributes={"type": "terminate", "key": WRONG})
    expect(answer.get("condition") is None, f"{answer}")
    return "ignored"
