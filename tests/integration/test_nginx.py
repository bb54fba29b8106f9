"""nginx in front, with the configuration that the README recommends."""

from pathlib import Path

import httpx
import pytest

from tests.conftest import Site
from tests.support.clients import BoshConnection, Client, WebSocketConnection
from tests.support.nginx import SNIPPET
from tests.support.servers import DOMAIN, PASSWORD

pytestmark = pytest.mark.integration

README = Path(__file__).parent.parent.parent / "README.md"

BROWSER = "203.0.113.7"
"""An address as a proxy in front of nginx would report it."""


def test_readme_shows_the_configuration_that_is_tested() -> None:
    assert SNIPPET.read_text().strip() in README.read_text()


async def test_the_log_shows_the_address_of_the_browser(site: Site) -> None:
    mark = len(site.gateway.log())
    async with httpx.AsyncClient(trust_env=False, headers={"X-Forwarded-For": BROWSER}) as http:
        bosh = BoshConnection(DOMAIN, site.nginx.bosh_url, http)
        await bosh.open()
        await bosh.close()
    assert f"opened for {DOMAIN} by {BROWSER}" in site.gateway.log()[mark:]


async def test_answers_are_not_kept_back(site: Site) -> None:
    """Messages go out one by one and must arrive one by one, though nothing follows them."""
    async with (
        Client(BoshConnection(DOMAIN, site.nginx.bosh_url)) as bosh,
        Client(WebSocketConnection(DOMAIN, site.nginx.websocket_url)) as websocket,
    ):
        await bosh.login(site.server.new_user(), PASSWORD)
        await websocket.login(site.server.new_user(), PASSWORD)
        for number in range(20):
            for sender, recipient in ((bosh, websocket), (websocket, bosh)):
                await sender.send_message(recipient.jid, f"message {number}")
                assert await recipient.wait_for_message(5) == f"message {number}"
