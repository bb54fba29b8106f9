"""The other document of a domain: bounded in size and time, kept, and not missed for long."""

import asyncio
import gzip
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boshgate.web import upstream as module
from boshgate.web.upstream import LIFETIME, MAX_BYTES, MAX_REDIRECTS, RETRY, Upstream, read
from tests.support.certificates import Authority
from tests.web.front import eventually
from tests.web.otherweb import XRD, XRD_NS, Answer, OtherWeb, http, other_web, redirect

WHOLE = read(XRD)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def web() -> AsyncIterator[OtherWeb]:
    async with other_web() as web:
        yield web


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def upstream(web: OtherWeb, clock: Clock) -> AsyncIterator[Upstream]:
    upstream = Upstream("example.org", web.url, clock=clock)
    yield upstream
    await upstream.close()


async def silence(_head: str) -> bytes:
    await asyncio.Event().wait()
    return b""


async def idle(upstream: Upstream) -> None:
    """Wait for what goes on behind the requests."""
    await eventually(lambda: upstream._refreshing is None)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ours: asyncio's debug mode has its own, on a machine that is busy."""
    ours = [record for record in caplog.records if record.name.startswith("boshgate.")]
    return [record.message for record in ours if record.levelno >= logging.WARNING]


async def test_it_is_fetched_once_for_all_and_kept(upstream: Upstream, web: OtherWeb, clock: Clock) -> None:
    documents = await asyncio.gather(*(upstream.document() for _ in range(10)))
    assert documents == [WHOLE] * 10
    clock.now = LIFETIME - 1
    assert await upstream.document() is documents[0]
    assert len(web.heads) == 1
    clock.now = LIFETIME
    web.answer = http(b'{"subject": "new"}')
    assert (await upstream.document()).subject == "new"
    assert len(web.heads) == 2


async def test_the_request_says_who_asks(upstream: Upstream, web: OtherWeb) -> None:
    await upstream.document()
    head = web.heads[0].lower()
    assert "\r\nvia: 1.1 boshgate.example.org\r\n" in head
    assert "\r\naccept: application/xrd+xml, application/json" in head
    assert "\r\naccept-encoding: identity\r\n" in head


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(b"<XRD>" + b" " * MAX_BYTES), "larger than"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"<" * (MAX_BYTES * 2), "larger than"),
        (http(b"<html>"), "not XML"),
        (http(b"<html/>"), "the root element is 'html'"),
        (http(f"<!DOCTYPE x [<!ENTITY a 'b'>]><XRD xmlns='{XRD_NS}'/>".encode()), "document type"),
        (http(b"gone", status="404 Not Found"), "HTTP 404"),
        (http(b"", status="204 No Content"), "HTTP 204"),
        (http(gzip.compress(b" " * 1_000_000), "Content-Encoding: gzip"), "compressed"),
        (redirect("/again"), "more than 3 redirects"),
        (redirect("ftp://example.org/"), "UnsupportedProtocol"),
        (redirect("http://" + "a" * 70 + ".example/"), ""),
        (redirect("http://[::1"), ""),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000, "Protocol"),
        (b"", "RemoteProtocolError"),
        (silence, "not there within 0.3 s"),
    ],
)
async def test_a_hostile_upstream_costs_nothing_but_its_document(
    upstream: Upstream,
    web: OtherWeb,
    answer: Answer,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.3 if answer is silence else 5.0)
    web.answer = answer
    document = await upstream.document()
    assert document.links == ()
    assert upstream.is_missing
    (warning,) = warnings(caplog)
    assert warning.startswith(
        "the host-meta upstream of example.org cannot be used, only our own links are served: "
    )
    assert reason in warning
    assert "secret" not in warning


async def test_nobody_listens(clock: Clock, down: str, caplog: pytest.LogCaptureFixture) -> None:
    upstream = Upstream("example.org", down.replace("tcp:", "http:"), clock=clock)
    assert (await upstream.document()).links == ()
    assert "ConnectError" in warnings(caplog)[0]


async def test_slow_bytes_do_not_hold_it_up_for_longer(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, web: OtherWeb
) -> None:
    """Each byte comes in time, the document does not."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    monkeypatch.setattr(web, "serve", drip)
    async with asyncio.timeout(3):
        await upstream.document()
    assert upstream.is_missing


async def test_the_last_document_is_used_while_there_is_no_other(
    upstream: Upstream, web: OtherWeb, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    document = await upstream.document()
    web.answer = http(b"", status="503 Service Unavailable")
    for _ in range(3):
        clock.now += LIFETIME
        asked = len(web.heads)
        assert await upstream.document() is document
        await idle(upstream)
        assert len(web.heads) == asked + 1
    assert not upstream.is_missing
    assert warnings(caplog) == [  # once, not three times
        "the host-meta upstream of example.org cannot be used, the last one is served: HTTP 503"
    ]
    web.answer = http(XRD)
    clock.now += RETRY
    await upstream.document()
    await eventually(lambda: not upstream.failing)
    assert "the host-meta upstream of example.org can be used again" in caplog.messages
    web.answer = http(b"")
    clock.now += LIFETIME
    await upstream.document()
    assert len(warnings(caplog)) == 2


async def test_it_is_not_asked_again_at_once_and_nobody_waits(
    upstream: Upstream, web: OtherWeb, clock: Clock
) -> None:
    web.answer = http(b"", status="500 Oh")
    await upstream.document()
    clock.now = RETRY - 1
    await upstream.document()
    assert len(web.heads) == 1
    web.answer = silence
    clock.now = RETRY
    async with asyncio.timeout(1):
        await upstream.document()
    await eventually(lambda: len(web.heads) == 2)


async def test_a_request_that_is_cancelled_does_not_cancel_the_others(
    upstream: Upstream, web: OtherWeb
) -> None:
    go_on = asyncio.Event()

    async def late(_head: str) -> bytes:
        await go_on.wait()
        return http(XRD)

    web.answer = late
    first, second = (asyncio.create_task(upstream.document()) for _ in range(2))
    await eventually(lambda: web.heads)
    first.cancel()
    go_on.set()
    assert await second == WHOLE


async def test_a_redirect_is_followed(upstream: Upstream, web: OtherWeb) -> None:
    async def moved(head: str) -> bytes:
        return http(XRD) if head.startswith("GET /new ") else redirect("/new")

    web.answer = moved
    assert await upstream.document() == WHOLE


async def test_not_for_ever(upstream: Upstream, web: OtherWeb) -> None:
    web.answer = redirect("/again")
    await upstream.document()
    assert len(web.heads) == 1 + MAX_REDIRECTS


async def test_https(
    clock: Clock, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with other_web(certificate=authority.issue("127.0.0.1", file_name="upstream")) as web:
        assert (await Upstream("example.org", web.url, clock=clock).document()).links == ()
        assert "CERTIFICATE_VERIFY_FAILED" in warnings(caplog)[0]
        assert not web.heads
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        assert await Upstream("example.org", web.url, clock=clock).document() == WHOLE


async def test_https_is_not_left_by_a_redirect(
    web: OtherWeb,
    clock: Clock,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    async with other_web(certificate=authority.issue("127.0.0.1", file_name="upstream")) as secure:
        secure.answer = redirect(web.url)
        assert (await Upstream("example.org", secure.url, clock=clock).document()).links == ()
    assert "redirected from https to http" in warnings(caplog)[0]


async def test_an_ipv6_address(clock: Clock) -> None:
    async with other_web("::1") as web:
        assert await Upstream("example.org", web.url, clock=clock).document() == WHOLE


async def test_a_file(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "host-meta.xml"
    file.write_bytes(XRD)
    assert await Upstream("example.org", str(file), clock=clock).document() == WHOLE


async def test_a_file_that_is_none(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(b"<" * (MAX_BYTES + 1))
    for path in (pipe, large, tmp_path, tmp_path / "missing"):
        upstream = Upstream("example.org", str(path), clock=clock)
        assert (await upstream.document()).links == ()
        assert upstream.is_missing
    texts = [message.partition("served: ")[2] for message in warnings(caplog)]
    assert [text.split(":")[0] for text in texts] == [
        "not a regular file",
        f"larger than {MAX_BYTES} bytes",
        "IsADirectoryError",
        "FileNotFoundError",
    ]
    assert [repr(upstream)] == ["<Upstream of example.org: failing>"]


async def test_closing_ends_what_is_going_on(upstream: Upstream, web: OtherWeb, clock: Clock) -> None:
    web.answer = silence
    asking = asyncio.create_task(upstream.document())
    await eventually(lambda: web.heads)
    await upstream.close()
    assert (await asking).links == ()
    clock.now = LIFETIME
    await upstream.document()
    assert len(web.heads) == 1
