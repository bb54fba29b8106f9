"""SASL2 (XEP-0388), Bind 2 (XEP-0386) and inline XEP-0198 between a client and a server that know them.

The gateway only looks on: it sees that the client has authenticated, and that its stream can be resumed.
"""

from collections.abc import AsyncIterator

import pytest

from tests.backend.scripted import Peer
from tests.web.conftest import MakeFront
from tests.web.front import ENABLED, END, Front, XmppServer, message
from tests.web.lines import Line, SessionEndedError, WebSocketLine, open_line

SASL2 = "xmlns='urn:xmpp:sasl:2'"
SM = "xmlns='urn:xmpp:sm:3'"
BIND = "xmlns='urn:xmpp:bind:0'"

AUTHENTICATION = (
    f"<authentication {SASL2}><mechanism>SCRAM-SHA-1</mechanism><mechanism>SCRAM-SHA-1-PLUS</mechanism>"
    "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>"
    f"<inline><sm {SM}/><bind {BIND}><inline><feature var='urn:xmpp:carbons:2' />"
    "<feature var='urn:xmpp:csi:0' /><feature var='urn:xmpp:sm:3' /></inline></bind>"
    "<fast xmlns='urn:xmpp:fast:0' tls-0rtt='true'><mechanism>HT-SHA-256-NONE</mechanism></fast>"
    "</inline></authentication>"
)
SASL2_FEATURES = f"<stream:features>{AUTHENTICATION}</stream:features>"
AUTHENTICATE = (
    f"<authenticate {SASL2} mechanism='SCRAM-SHA-1' upgrade='UPGR-SCRAM-SHA-256'>"
    "<initial-response>biwsbj1hbGljZSxyPWFiYw==</initial-response>"
    "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Web</software></user-agent>"
    f"<bind {BIND}><tag>Web</tag><enable xmlns='urn:xmpp:carbons:2'/><enable {SM} resume='true'/>"
    "<inactive xmlns='urn:xmpp:csi:0'/></bind>"
    "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/></authenticate>"
)
CHALLENGE = f"<challenge {SASL2}>cj1hYmNkZWY=</challenge>"
RESPONSE = f"<response {SASL2}>Yz1iaXdzLHI9YWJjZGVm</response>"
BOUND_FEATURES = "<stream:features><sub xmlns='urn:xmpp:features:pre-approval'/></stream:features>"


def success(*inline: str) -> str:
    """The server's success, with what was done inline."""
    return (
        f"<success {SASL2}><additional-data>dj1tc1ZI</additional-data>"
        f"<authorization-identifier>alice@example.org/Web/1</authorization-identifier>{''.join(inline)}</success>"
    )


def bound(*results: str) -> str:
    return f"<bound {BIND}>{''.join(results)}</bound>"


@pytest.fixture
async def sasl2_server() -> AsyncIterator[XmppServer]:
    """A server that offers both, and all that there is inline."""
    async with XmppServer(SASL2_FEATURES) as server:
        yield server


@pytest.fixture(params=["websocket", "bosh"])
async def alice(
    request: pytest.FixtureRequest, make_front: MakeFront, sasl2_server: XmppServer
) -> tuple[Line, Peer]:
    """A client over each transport that has seen the features, and her server."""
    front = await make_front(sasl2_server)
    return await open_line(request.param, front, sasl2_server)


async def authenticates(alice: tuple[Line, Peer]) -> None:
    """Everything up to the client's last word."""
    line, peer = alice
    await line.says(AUTHENTICATE)
    assert await peer.hears("</authenticate>") == AUTHENTICATE
    await peer.says(CHALLENGE)
    assert await line.hears("<challenge ") == CHALLENGE
    await line.says(RESPONSE)
    assert await peer.hears("</response>") == RESPONSE


@pytest.mark.rule("F8", "F6", "F11")
async def test_what_is_offered_inline_is_shown(alice: tuple[Line, Peer]) -> None:
    line, _ = alice
    assert AUTHENTICATION in line.features


@pytest.mark.rule("WS19", "HC19", "B6", "F8")
async def test_success_is_followed_by_features_and_no_restart(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    whole = success(bound("<metadata xmlns='urn:xmpp:mam:2'><start id='a' timestamp='b'/></metadata>"))
    await peer.says(whole + BOUND_FEATURES)
    assert await line.hears("<success ") == whole
    assert "<sub xmlns='urn:xmpp:features:pre-approval'/>" in await line.hears("<stream:features ")
    await line.says(message(1))
    assert await peer.hears("</message>") == message(1), "the first that follows is a stanza"
    await peer.says("<message id='m2'/>")
    await line.hears("<message xmlns='jabber:client' id='m2'")


@pytest.mark.rule("HC19")
async def test_success_in_pieces_and_features_after_a_while(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    whole = success(bound())
    await peer.says(whole[:30], whole[30:])
    assert await line.hears("<success ") == whole
    await line.says(message(1))
    assert await peer.hears("</message>") == message(1)
    await peer.says(BOUND_FEATURES)
    await line.hears("<stream:features ")


@pytest.mark.rule("HC19", "WS18", "B6")
async def test_a_restart_after_it_is_an_error(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    await peer.says(success(bound()))
    await line.hears("<success ")
    if isinstance(line, WebSocketLine):
        await line.says("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>")
        await line.talk.hears_error("policy-violation")
        assert await peer.hears_rest() == END
    else:
        with pytest.raises(SessionEndedError):
            await line.restarts()
        assert await peer.hears_rest() == END


@pytest.mark.rule("SM5", "HC22", "WS15", "F8")
@pytest.mark.parametrize(
    "inline",
    [
        bound(f"<enabled {SM} id='r1' resume='true' max='600'/>"),
        f"<failed {SM} h='3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        + bound("<x xmlns='u'/>", f"<enabled {SM} id='r1' resume='1'/>"),
        f"<resumed {SM} h='345' previd='124'/>",
    ],
    ids=["enabled", "enabled after a resumption failed", "resumed"],
)
async def test_a_client_that_is_lost_may_resume(alice: tuple[Line, Peer], inline: str) -> None:
    line, peer = alice
    await authenticates(alice)
    await peer.says(success(inline))
    assert await line.hears("<success ") == success(inline)
    await line.says(message(1))
    await peer.hears("</message>")
    await line.vanishes()
    assert await peer.hears_rest() == "", "no end tag"


@pytest.mark.rule("SM6", "HC22")
async def test_a_client_that_leaves_has_its_stream_closed(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    await peer.says(success(bound(ENABLED)))
    await line.hears("<success ")
    await line.leaves()
    assert await peer.hears(END) == END


@pytest.mark.rule("F10")
async def test_where_to_resume_is_hidden_inline_too(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    enabled = f"<enabled {SM} id='r1' resume='true'/>"
    await peer.says(success(bound(enabled.replace(" resume", " location='10.0.0.7:5222' resume"))))
    assert await line.hears("<success ") == success(bound(enabled))


@pytest.mark.rule("F8")
async def test_tasks_tokens_and_what_nobody_knows_yet(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    salt = "<salt xmlns='urn:xmpp:scram-upgrade:0' iterations='4096'>QV9T</salt>"
    dialogue = [
        f"<continue {SASL2}><additional-data>dj0=</additional-data><tasks><task>UPGR-SCRAM-SHA-256</task>"
        "<task>TOTP-EXAMPLE</task></tasks><text>This account requires 2FA</text></continue>",
        f"<next {SASL2} task='UPGR-SCRAM-SHA-256'/>",
        f"<task-data {SASL2}>{salt}</task-data>",
        f"<task-data {SASL2}><hash xmlns='urn:xmpp:scram-upgrade:0'>c2FsdGVk</hash></task-data>",
        success(
            bound(),
            "<token xmlns='urn:xmpp:fast:0' expiry='2030-01-01T00:00:00Z' token='s3cr3t'/><y xmlns='u'/>",
        ),
    ]
    for number, element in enumerate(dialogue):
        start, end = element.partition(" ")[0] + " ", element.rpartition("<")[2]
        if number % 2:
            await line.says(element)
            assert await peer.hears(end) == element
        else:
            await peer.says(element)
            assert await line.hears(start) == element
    await line.says(message(1))
    assert await peer.hears("</message>") == message(1)


@pytest.mark.rule("F8")
async def test_failure_leaves_the_stream_and_another_try(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await authenticates(alice)
    failure = (
        f"<failure {SASL2}><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
        "<optional-application-specific xmlns='urn:something:else'/><text>No.</text></failure>"
    )
    await peer.says(failure)
    assert await line.hears("<failure ") == failure
    await authenticates(alice)
    await peer.says(success())
    await line.hears("<success ")


@pytest.mark.rule("F8")
async def test_abort(alice: tuple[Line, Peer]) -> None:
    line, peer = alice
    await line.says(AUTHENTICATE)
    await peer.hears("</authenticate>")
    abort = f"<abort {SASL2}><text>changed my mind</text></abort>"
    await line.says(abort)
    assert await peer.hears("</abort>") == abort
    aborted = f"<failure {SASL2}><aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>"
    await peer.says(aborted)
    assert await line.hears("<failure ") == aborted


@pytest.mark.rule("WS29")
async def test_success_ends_the_wait_for_authentication(front: Front, xmpp_server: XmppServer) -> None:
    alice = await open_line("websocket", front, xmpp_server)
    line, peer = alice
    (connection,) = front.gateway.websocket.connections
    stream = connection._stream
    assert stream is not None
    await authenticates(alice)
    assert stream._timer is not None, "a challenge is no success"
    await peer.says(success(bound()))
    await line.hears("<success ")
    assert stream._timer is None
