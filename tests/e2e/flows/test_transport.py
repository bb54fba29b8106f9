"""A transport to another network: an external component of the server (XEP-0114)."""

import asyncio

import pytest

from tests.e2e.flows.conftest import People
from tests.support.clients import ComponentConnection
from tests.support.clients.component import COMPONENT
from tests.support.servers import COMPONENT_SECRET, TRANSPORT
from tests.support.stanzas import reply

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

DISCO_INFO = "http://jabber.org/protocol/disco#info"


async def test_user_talks_to_another_network(people: People) -> None:
    alice = await people.web_user()
    port = people.server.component_port
    async with ComponentConnection(TRANSPORT, port, COMPONENT_SECRET) as transport:
        await transport.open()

        # Alice's client asks what this is.
        asking = asyncio.create_task(alice.call("getDiscoInfo", TRANSPORT))
        question = await transport.receive()
        assert (question.get("from"), question.get("to")) == (alice.jid, TRANSPORT)
        identity = "<identity category='gateway' type='pigeon' name='Brief &amp; Taube \U0001f54a'/>"
        answer = f"<query xmlns='{DISCO_INFO}'>{identity}<feature var='jabber:iq:gateway'/></query>"
        await transport.send(reply(question, answer, sender=TRANSPORT, namespace=COMPONENT))
        info = await asking
        (told,) = info["identities"]
        assert {
            "category": "gateway",
            "type": "pigeon",
            "name": "Brief & Taube \U0001f54a",
        }.items() <= told.items()
        assert info["features"] == ["jabber:iq:gateway"]

        # Messages go both ways.
        legacy = f"+49\\20123@{TRANSPORT}"
        await alice.call(
            "sendMessage", {"to": legacy, "type": "chat", "id": "t1", "body": "coo <coo> \U0001f426"}
        )
        received = await transport.receive()
        assert (received.get("from"), received.get("to"), received.get("id")) == (alice.jid, legacy, "t1")
        assert received.findtext(f"{{{COMPONENT}}}body") == "coo <coo> \U0001f426"
        await transport.send(
            f"<message xmlns='{COMPONENT}' from='{legacy}' to='{alice.jid}' type='chat' id='t2'>"
            "<body>coo, &#x1F426;!</body></message>"
        )
        told = await alice.wait_for("message")
        assert (told["from"], told["id"], told["body"]) == (legacy, "t2", "coo, \U0001f426!")
