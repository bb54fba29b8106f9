"""Creation requests that are to be refused: XEP-0124 sections 7.1 and 17.2."""

import asyncio

from boshgate.conformance.bosh import expect_terminal
from boshgate.conformance.check import NotOffered, Section, Transport, expect
from boshgate.conformance.checks.http import creation
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer

section = Section("Creation", Transport.BOSH, prefix="creation")

NOBODY = "no-such-domain.invalid"
"""RFC 6761 section 6.4: nobody has it."""


async def _created(kit: Kit, **attributes: str | None) -> Answer:
    """The answer to a creation request; a session is ended when the check is."""
    return await (await kit.bosh()).create(creation(kit, **attributes))


async def _refused(kit: Kit, what: str, *conditions: str, **attributes: str | None) -> None:
    expect_terminal(await _created(kit, **attributes), *conditions, what=what)


@section.must("C1 E5", "XEP-0124 7.1, 17.2")
async def an_unknown_sid_is_item_not_found(kit: Kit) -> str:
    """A request with a sid that nobody was given is item-not-found."""
    session = await kit.bosh()
    session.sid = "no-such-session"
    answer = await session.ask()
    session.ended = True
    expect_terminal(answer, "item-not-found", what="an unknown sid")
    return "item-not-found"


@section.must("C1", "XEP-0124 7.1")
async def an_empty_sid_is_no_creation(kit: Kit) -> str:
    """A request with an empty sid is not a creation request."""
    answer = await _created(kit, sid="")
    expect_terminal(answer, "item-not-found", "bad-request", what="an empty sid")
    return str(answer.get("condition"))


@section.must("C2 E2", "XEP-0124 17.2")
async def an_unknown_domain_is_host_unknown(kit: Kit) -> str:
    """'to' that is served by nobody here is host-unknown (remote-connection-failed for a proxy)."""
    answer = await _created(kit, to=NOBODY)
    expect_terminal(answer, "host-unknown", "remote-connection-failed", what=NOBODY)
    return str(answer.get("condition"))


@section.should("C2 E3", "XEP-0124 17.2")
async def no_domain_is_improper_addressing(kit: Kit) -> str:
    """Without 'to', or with an empty one, the answer is improper-addressing, where there is no default."""
    for to in (None, ""):
        answer = await _created(kit, to=to)
        if answer.body is not None and answer.body.get("sid") and not answer.is_terminate:
            raise NotOffered("there is a default domain")
        expect_terminal(answer, "improper-addressing", what="no 'to'" if to is None else "an empty 'to'")
    return "improper-addressing"


@section.must("C2 X1", "XEP-0124 17.2")
async def a_hostile_domain_is_refused(kit: Kit) -> str:
    """'to' with markup or a path in it is refused like any other domain that is not served."""
    for to in (f"{kit.domain}'/><x a='", f"{kit.domain}/../..", f"user@{kit.domain}", "a" * 3000):
        answer = await _created(kit, to=to)
        expect_terminal(
            answer,
            "host-unknown",
            "improper-addressing",
            "bad-request",
            "remote-connection-failed",
            what=to[:30],
        )
    return "4 kinds"


@section.should("C5", "XEP-0124 22")
async def a_malformed_wait_is_refused(kit: Kit) -> str:
    """'wait' that is no number of seconds is a bad request."""
    for wait in ("-1", "abc", "1.5", "70000"):
        await _refused(kit, f"wait='{wait}'", "bad-request", wait=wait)
    return "4 kinds"


@section.should("C6", "XEP-0124 22")
async def a_malformed_hold_is_refused(kit: Kit) -> str:
    """'hold' that is no number is a bad request."""
    for hold in ("-1", "abc", "300"):
        await _refused(kit, f"hold='{hold}'", "bad-request", hold=hold)
    return "3 kinds"


@section.should("C4", "XEP-0124 7.1")
async def a_malformed_ver_is_refused(kit: Kit) -> str:
    """'ver' that is not major.minor is a bad request; a client that sends one is no legacy client (17.1)."""
    for ver in ("abc", "1", "1.x"):
        await _refused(kit, f"ver='{ver}'", "bad-request", ver=ver)
    return "3 kinds"


@section.practice("C8 HC24", "CWE-918")
async def a_route_leads_nowhere(kit: Kit) -> str:
    """'route' never makes the connection manager connect where the client says, e.g. into its own network."""
    visits = 0

    def visited(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    async with await asyncio.start_server(visited, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        answer = await _created(kit, route=f"xmpp:127.0.0.1:{port}")
        answer.wrapper  # noqa: B018  # ignoring and refusing are both right
        await asyncio.sleep(kit.settle)
    expect(visits == 0, "it connected to the port in 'route'")
    return "refused" if answer.is_terminate else "ignored"
