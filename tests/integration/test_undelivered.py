"""Stanzas for a client that is gone come back to their sender (XEP-0206 section 7)."""

import httpx
import pytest

from tests.conftest import MakeGateway, served_domains
from tests.integration.session import Session
from tests.support.clients import CLIENT, BoshConnection, Client
from tests.support.clients.base import STANZA_ERRORS
from tests.support.gateway import Gateway
from tests.support.servers import DOMAIN, PASSWORD, XmppServer

pytestmark = pytest.mark.integration

INACTIVITY = 2


@pytest.fixture
def gateway(server: XmppServer, make_gateway: MakeGateway) -> Gateway:
    """One that soon takes a client for lost."""
    return make_gateway(served_domains(server), bosh={"inactivity": INACTIVITY})


@pytest.mark.rule("B11")
async def test_sender_of_a_message_to_a_client_that_is_gone_gets_an_error(
    server: XmppServer, gateway: Gateway
) -> None:
    async with (
        Client(BoshConnection(DOMAIN, gateway.bosh_url)) as sender,
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
    ):
        await sender.login(server.new_user(), PASSWORD)
        gone = Session(gateway.bosh_url, http)
        await gone.create(DOMAIN)
        jid = await gone.log_in(gone.first, server.new_user())
        # No request of the client is open, and none follows.
        await sender.send_message(jid, "are you there?")
        answer = await sender.connection.receive()
        assert (answer.tag, answer.get("type"), answer.get("from")) == (f"{{{CLIENT}}}message", "error", jid)
        assert answer.find(f"{{{CLIENT}}}error/{{{STANZA_ERRORS}}}recipient-unavailable") is not None
        assert "answered 1 stanzas for a client that is gone" in gateway.log()
