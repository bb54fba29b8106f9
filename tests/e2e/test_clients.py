"""Every client, over every transport, straight and through nginx, against every server."""

import pytest

from tests.conftest import Site
from tests.e2e.conftest import RealClients
from tests.support.clients import Client, TcpConnection
from tests.support.servers import DOMAIN, PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

EMOJI = "\U0001f600 outside the BMP: \U00010348\U0001f9d1‍\U0001f680 <&\"'> é"
LARGE = "a<&é\U0001f600" * 5_700
"""More than 50 kB of UTF-8, and twice that where ``<`` and ``&`` are escaped."""

TRANSPORTS = {
    "strophe": ("bosh", "websocket"),
    "converse": ("bosh", "websocket"),
    "strophe-node": ("bosh", "websocket"),
    "xmpp.js": ("websocket",),  # it has no BOSH
}


@pytest.mark.parametrize("path", ["direct", "nginx"])
@pytest.mark.parametrize(
    ("name", "transport"), [(name, transport) for name, all_ in TRANSPORTS.items() for transport in all_]
)
async def test_client_logs_in_chats_and_logs_out(
    site: Site, real_clients: RealClients, name: str, transport: str, path: str
) -> None:
    assert len(LARGE.encode()) > 50_000
    user = site.server.new_user()
    alice = await real_clients.start(name)
    async with Client(TcpConnection(DOMAIN, site.server.plain_port)) as bob:
        await bob.login("bob", PASSWORD)
        alice_jid = await alice.login(site.url(transport, path), f"{user}@{DOMAIN}", PASSWORD)
        assert alice_jid.startswith(f"{user}@{DOMAIN}/")

        for text in (EMOJI, LARGE):
            await alice.send(bob.jid, text)
            assert await bob.wait_for_message() == text
        for text in (EMOJI, LARGE):
            await bob.send_message(alice_jid, text)
            await alice.wait_for_message(text)

        await alice.logout()
        await bob.wait_until_offline(alice_jid)
