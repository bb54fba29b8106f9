"""Strophe.js loses a request on the way and recovers (XEP-0124 sections 14.2 and 14.3)."""

from urllib.parse import urlsplit

import pytest

from tests.conftest import MakeGateway
from tests.e2e.conftest import RealClients
from tests.support.clients import Client, TcpConnection
from tests.support.gateway import ServedDomain
from tests.support.proxies import LossyHttpProxy
from tests.support.servers import DOMAIN, PASSWORD, Prosody

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("name", "max_wait", "told"),
    [
        # Strophe waits floor(1.1 * wait) seconds before it sends a request again: with 10 s our type='error'
        # for the request behind the hole comes first, with 3 s Strophe does.
        ("strophe", 10, True),
        ("strophe-node", 3, False),
    ],
)
async def test_strophe_recovers_from_a_request_that_was_lost(
    prosody: Prosody,
    make_gateway: MakeGateway,
    real_clients: RealClients,
    name: str,
    max_wait: int,
    told: bool,
) -> None:
    domain = ServedDomain(DOMAIN, f"tcp://127.0.0.1:{prosody.plain_port}")
    gateway = make_gateway([domain], bosh={"max_wait": max_wait})

    def is_to_be_lost(body: bytes) -> bool:
        return b"message one" in body and not proxy.lost

    async with (
        LossyHttpProxy(urlsplit(gateway.url).port or 0, is_to_be_lost) as proxy,
        Client(TcpConnection(DOMAIN, prosody.plain_port)) as bob,
    ):
        await bob.login(prosody.new_user(), PASSWORD)
        client = await real_clients.start(name)
        service = f"http://127.0.0.1:{proxy.port}/http-bind"
        jid = await client.login(service, f"{prosody.new_user()}@{DOMAIN}", PASSWORD)

        for text in ("message zero", "message one", "message two"):
            await client.send(bob.jid, text)
            if text == "message one":
                await proxy.wait_until_lost()
        for text in ("message zero", "message one", "message two"):
            assert await bob.wait_for_message(2 * max_wait) == text
        assert bob.connection.waiting == 0, "a message came twice"
        assert len(proxy.lost) == 1
        assert told == any(b'type="error"' in answer.replace(b"'", b'"') for answer in proxy.answers)

        await bob.send_message(jid, "all is well")
        await client.wait_for_message("all is well")
        await client.logout()
        await bob.wait_until_offline(jid)
