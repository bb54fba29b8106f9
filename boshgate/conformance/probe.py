"""Before anything is checked: is there an endpoint at all, how far is it, and does the account work?"""

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace

from websockets.exceptions import InvalidStatus

from boshgate.conformance.bosh import STREAM_ERROR, Bosh
from boshgate.conformance.check import Fails, NotOffered, Transport
from boshgate.conformance.kit import Kit
from boshgate.conformance.sasl import LoginRefused
from boshgate.conformance.target import Target
from boshgate.conformance.websocket import Ws
from boshgate.conformance.wire import Answer, Http
from boshgate.conformance.xml import named, ping
from boshgate.namespaces import HTTPBIND, STREAM_ERRORS

MAX_SETTLE = 2.0

NO_SERVER = ("host-unknown", "host-gone", "remote-connection-failed")
"""Conditions that speak of the domain and of the server behind (XEP-0124 17.2, RFC 6120 4.9.3): the endpoint
does what it should, and nothing else can be seen of it."""


@dataclass(slots=True)
class Findings:
    """What was found: *broken* endpoints with one line each, a *refused* login in the server's words."""

    target: Target
    broken: dict[Transport, str] = field(default_factory=dict)
    refused: str | None = None


async def probe(target: Target) -> Findings:
    """Look at each endpoint that is given."""
    findings = Findings(target)
    if target.bosh_url is not None:
        try:
            seconds = await _probe_bosh(target)
            settle = min(MAX_SETTLE, max(target.settle, 3 * seconds))
            findings.target = replace(target, settle=settle)
        except Fails as failure:
            findings.broken[Transport.BOSH] = f"{target.bosh_url}: {failure}"
    if target.ws_url is not None:
        try:
            await _probe_websocket(target)
        except Fails as failure:
            findings.broken[Transport.WEBSOCKET] = f"{target.ws_url}: {failure}"
    if target.account is not None:
        await _probe_login(findings)
    return findings


async def _probe_bosh(target: Target) -> float:
    """One harmless request: how long a second one on the same connection takes. Raises Fails."""
    assert target.bosh_url is not None, "asked for"
    body = f"<body xmlns='{HTTPBIND}' rid='1' sid='no-such-session'/>"
    async with Http(target.bosh_url, target.tls, target.patience) as http:
        _expect_bosh(await http.request(body))
        seconds = (await http.request(body)).seconds
    async with AsyncExitStack() as stack:
        client = await Kit(target, stack).bosh()
        with suppress(Fails):  # the checks will tell
            await client.create()
        if client.refusal in NO_SERVER:
            raise Fails(_no_stream(target, client.refusal))
    return seconds


def _expect_bosh(answer: Answer) -> None:
    """An unknown session is answered with a <body/>, or with HTTP 404 by those of old."""
    if 300 <= answer.status < 400:
        raise Fails(
            f"redirects (HTTP {answer.status}) to {answer.headers.get('location', 'nowhere')}: give that URL"
        )
    kind = answer.headers.get("content-type", "no Content-Type").partition(";")[0]
    if answer.body is None and b"<html" in answer.data[:1000].lower():
        raise Fails(f"not a BOSH endpoint: HTTP {answer.status} and a web page")
    if answer.body is None and (answer.status != 404 or answer.data):
        text = answer.data[:40].decode("utf-8", "replace")
        raise Fails(f"not a BOSH endpoint: HTTP {answer.status}, {kind}, {text!r} instead of a <body/>")


async def _probe_websocket(target: Target) -> None:
    async with AsyncExitStack() as stack:
        try:
            ws = await Kit(target, stack).handshake()
        except InvalidStatus as error:
            response = error.response
            if 300 <= response.status_code < 400:
                to = response.headers.get("location", "nowhere")
                raise Fails(f"redirects (HTTP {response.status_code}) to {to}: give that URL") from None
            raise Fails(f"not a WebSocket endpoint: HTTP {response.status_code} to the handshake") from None
        with suppress(Fails):  # the checks will tell
            await ws.open()
        for failure in (frame.element for frame in ws.frames if frame.name == STREAM_ERROR):
            for condition in NO_SERVER:
                if failure.find(f"{{{STREAM_ERRORS}}}{condition}") is not None:
                    raise Fails(_no_stream(target, condition))


def _no_stream(target: Target, condition: str) -> str:
    return f"no stream to {target.domain}: {condition} (is --domain right, and its server up?)"


async def _probe_login(findings: Findings) -> None:
    """Log in once: a wrong password is the caller's fault, and a deaf server is the server's."""
    async with AsyncExitStack() as stack:
        kit = Kit(findings.target, stack)
        try:
            async with asyncio.timeout(findings.target.patience * 2):
                await _probe_delivery(findings, kit)
        except LoginRefused as refusal:
            findings.refused = str(refusal)
        except (Fails, NotOffered, TimeoutError, ssl.SSLError):
            pass  # the checks will tell, each in its words


async def _probe_delivery(findings: Findings, kit: Kit) -> None:
    """Whether the server, which answers a ping, delivers a message to oneself."""
    client: Bosh | Ws
    if findings.target.bosh_url is not None and Transport.BOSH not in findings.broken:
        client = await kit.login()
    elif findings.target.ws_url is not None and Transport.WEBSOCKET not in findings.broken:
        client = await kit.ws_login()
    else:
        return
    await client.exchange(ping("probe", kit.domain), named("probe"), "the answer to a ping")
    try:
        await kit.echo(client)
    except Fails:
        findings.target = replace(findings.target, delivers=False)
