"""Two streams to two domains of one server in one BOSH session (XEP-0124 section 16), written by hand."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.integration.session import Session
from tests.support.clients import BoshConnection, Client
from tests.support.gateway import Gateway
from tests.support.servers import DOMAIN, PASSWORD, TLS_DOMAIN, Prosody

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture
async def session(prosody_gateway: Gateway) -> AsyncIterator[Session]:
    """Created, with one stream to DOMAIN."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        session = Session(prosody_gateway.bosh_url, http)
        await session.create(DOMAIN)
        yield session


@pytest.mark.rule("M1", "M3", "M4", "M7")
async def test_two_accounts_on_two_domains_in_one_session(
    prosody: Prosody, prosody_gateway: Gateway, session: Session
) -> None:
    first = session.first
    here = await session.log_in(first, prosody.new_user())
    second = (await session.ask(to=TLS_DOMAIN, xml_lang="en", xmpp_version="1.0")).get("stream", "")
    assert second not in ("", first)
    there = await session.log_in(second, prosody.new_user())
    assert here.partition("@")[2].partition("/")[0] == DOMAIN
    assert there.partition("@")[2].partition("/")[0] == TLS_DOMAIN

    # Each hears those who write to it, under its name, and a broadcast presence reaches both servers.
    await session.ask("<presence xmlns='jabber:client'/>")
    for stream in (first, second):
        await session.until(stream, "presence")
    for domain, jid, stream in ((DOMAIN, here, first), (TLS_DOMAIN, there, second)):
        async with Client(BoshConnection(domain, prosody_gateway.bosh_url)) as friend:
            await friend.login(prosody.new_user(), PASSWORD)
            await friend.send_message(jid, f"to {domain}")
            assert (await session.until(stream, "message")).findtext("{jabber:client}body") == f"to {domain}"

    # One is closed, the other goes on; with the last one the session is over.
    await session.ask("<presence xmlns='jabber:client' type='unavailable'/>", stream=second, type="terminate")
    while second not in session.ends:
        await session.ask()
    assert session.ends == {second: None}
    ping = f"<iq xmlns='jabber:client' type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    await session.ask(ping)
    assert (await session.until(first, "iq")).get("id") == "p1"
    answer = await session.ask(stream=first, type="terminate")
    assert (answer.get("type"), answer.get("condition"), answer.get("stream")) == ("terminate", None, None)


@pytest.mark.rule("M8", "E2")
async def test_a_stream_that_cannot_be_had_leaves_others_alone(prosody: Prosody, session: Session) -> None:
    await session.log_in(session.first, prosody.new_user())
    refused = await session.ask(to="nobody.example")
    assert (refused.get("type"), refused.get("condition")) == ("terminate", "host-unknown")
    assert refused.get("stream") not in (None, session.first)
    ping = f"<iq xmlns='jabber:client' type='get' id='p1' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    await session.ask(ping)
    assert (await session.until(session.first, "iq")).get("id") == "p1"
