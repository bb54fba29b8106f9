"""What uvicorn leaves to a proxy in front: endless heads, clients that do not come to the point."""

import socket
from collections.abc import AsyncIterator

import pytest

from boshgate.config import Config
from boshgate.listener import MAX_HEAD_BYTES, close_late
from boshgate.server import bind
from tests.web.front import Front, RawConnection, eventually, post, running


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    """A gateway that serves nobody."""
    async with running(Config()) as made:
        yield made


def close_all_late(front: Front, seconds: float = 0) -> None:
    close_late(front.server.server_state.connections, seconds)


async def connect(front: Front, *segments: str) -> RawConnection:
    """Connect and send *segments*; the gateway has read them."""
    before = len(front.server.server_state.connections)
    raw = await front.raw()
    await eventually(lambda: len(front.server.server_state.connections) > before)
    await raw.send(*segments)
    return raw


@pytest.mark.parametrize(
    "head",
    [
        "POST /http-bind HTTP/1.1\r\nX: " + "x" * 3 * MAX_HEAD_BYTES,
        "POST /" + "x" * 3 * MAX_HEAD_BYTES,
        "POST /http-bind HTTP/1.1\r\n" + "X: x\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["value", "target", "lines"],
)
async def test_a_head_without_an_end_is_refused(front: Front, head: str) -> None:
    raw = await connect(front, post("<"))
    await raw.answer()
    raw.writer.write(head.encode())
    assert (await raw.answer()).status == 431
    assert await raw.rest() == b""
    await raw.close()
    await eventually(lambda: not front.server.server_state.connections)


async def test_a_head_that_is_too_long_and_no_http_is_refused_once(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST /http-bind HTTP/1.1\r\nX: x"
    with caplog.at_level("INFO"):
        raw = await connect(front, head, "x" * (MAX_HEAD_BYTES - 10), "x" * 20 + "\r\n\0")
        assert (await raw.answer()).status == 400
        assert await raw.rest() == b""
    assert [record.getMessage()[:9] for record in caplog.records if record.name != "uvicorn.error"] == [
        "refused a"
    ]


async def test_who_goes_on_sending_is_not_listened_to_for_ever(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boshgate.web.closing.LINGER_SECONDS", 0.1)
    raw = await connect(front, NO_HTTP)
    assert (await raw.answer()).status == 400
    await raw.send(*[NO_HTTP] * 10)
    assert await raw.rest() == b""  # the answer is complete, but the connection is not closed yet
    await eventually(lambda: not front.server.server_state.connections)


async def test_a_large_head_is_no_matter(front: Front) -> None:
    raw = await connect(front)
    for _ in range(2):
        head, body = post("<", "X: " + "x" * (MAX_HEAD_BYTES // 2)).split("\r\n\r\n")
        await raw.send(head[:30_000], head[30_000:], "\r\n\r\n" + body)
        assert (await raw.answer()).status == 200


async def test_a_large_body_is_no_head(front: Front) -> None:
    raw = await connect(front)
    body = "<a>" + " " * (4 * MAX_HEAD_BYTES)
    for _ in range(2):
        raw.writer.write(post(body).encode())
        assert "bad-request" in (await raw.answer()).body


@pytest.mark.parametrize("segments", [(), ("POST",), ("POST /http-bind HTTP/1.1\r\nHost: x\r\n",)])
async def test_a_client_that_does_not_come_to_the_point_is_left(
    front: Front, segments: tuple[str, ...]
) -> None:  # attack S2, attack S23
    raw = await connect(front, *segments)
    close_all_late(front, 10)
    assert len(front.server.server_state.connections) == 1
    close_all_late(front)
    assert await raw.rest() == b""


async def test_so_is_one_whose_second_request_has_no_end(front: Front) -> None:
    raw = await connect(front, post("<"))
    await raw.answer()
    close_all_late(front)  # between requests the keep-alive timer rules
    await raw.send("POST /http-bind")
    close_all_late(front, 10)
    await raw.send(" HTTP/1.1\r\n")
    close_all_late(front)
    assert await raw.rest() == b""


async def test_one_that_is_being_served_is_not(front: Front) -> None:
    whole = post("<")
    raw = await connect(front, whole[:-1])
    close_all_late(front)
    await raw.send(whole[-1:] + "POST")
    assert (await raw.answer()).status == 200


async def test_late_clients_are_looked_for(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = await connect(front, "POST")
    monkeypatch.setattr(front.server, "_head_timeout", 0)
    assert not await front.server.on_tick(1)
    assert len(front.server.server_state.connections) == 1
    assert not await front.server.on_tick(20)
    assert await raw.rest() == b""


async def test_an_offer_to_upgrade_in_a_body_is_left_alone(front: Front) -> None:
    raw = await connect(front)
    head, body = post("<a>\r\nUpgrade: h2c\r\n</a>").split("\r\n\r\n")
    await raw.send(head + "\r\n\r\n")
    await raw.send(body)
    assert (await raw.answer()).status == 200  # nothing was added to what Content-Length says


async def test_connections_inherit_what_ends_those_of_vanished_clients(front: Front) -> None:
    await connect(front)
    (connection,) = front.server.server_state.connections
    sock = connection.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


async def test_pipelined_heads_are_each_within_the_limit(front: Front) -> None:
    raw = await connect(front)
    many = post("<", "X: " + "x" * 20_000) * 8
    raw.writer.write(many.encode())
    for _ in range(8):
        assert (await raw.answer()).status == 200


NO_HTTP = "\x16\x03\x01 this is TLS\r\n\r\n"


@pytest.mark.rule("E1", "H12")
async def test_what_is_no_http_is_told_why_wherever_it_comes_from(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="boshgate.server")
    raw = await connect(front, NO_HTTP)
    answer = await raw.answer()
    assert answer.status == 400
    assert answer.body == "Invalid HTTP request received. Invalid method encountered\n"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["connection"] == "close"
    assert answer.headers["date"]
    assert await raw.rest() == b""
    assert "HTTP 400, Invalid HTTP request received. Invalid method encountered" in caplog.text


async def test_it_is_told_after_the_responses_that_are_owed(front: Front) -> None:
    raw = await connect(front, post("<") + NO_HTTP)
    assert "bad-request" in (await raw.answer()).body
    assert (await raw.answer()).status == 400
    assert await raw.rest() == b""
    raw = await connect(front, post("<") + post("<") + NO_HTTP, NO_HTTP)
    for _ in range(2):
        assert "bad-request" in (await raw.answer()).body
    assert (await raw.answer()).status == 400
    assert await raw.rest() == b""


async def test_a_last_request_is_the_last(front: Front) -> None:
    raw = await connect(front, post("<", "Connection: close") + NO_HTTP)
    assert (await raw.answer()).headers["connection"] == "close"
    assert await raw.rest() == b""  # who said that nothing follows is not told about what followed


CHUNKED = "POST /http-bind HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("before", [0, 1, 2, 12])
async def test_a_body_that_breaks_is_answered_in_its_place(front: Front, before: int, at_once: bool) -> None:
    segments = [post("<") * before + CHUNKED, "no length\r\n", NO_HTTP]
    raw = await connect(front, *(["".join(segments)] if at_once else segments))
    for _ in range(before):
        assert "bad-request" in (await raw.answer()).body
    answer = await raw.answer()
    assert answer.status == 400
    assert "chunk size" in answer.body
    assert await raw.rest() == b""
    await eventually(lambda: not front.server.server_state.tasks)


async def test_a_body_that_breaks_after_its_answer_has_no_second_one(
    front: Front, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="boshgate.server")
    monkeypatch.setattr("boshgate.web.closing.LINGER_SECONDS", 0.1)
    broken = ["no length\r\n"] * 3
    raw = await connect(front, CHUNKED, f"100000\r\n{' ' * 0x100000}\r\n", *broken)
    assert (await raw.answer()).status == 413
    assert await raw.rest() == b""
    assert caplog.text.count("HTTP 400") == 1


def test_a_bound_listener_listens() -> None:
    with bind("server", "127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        pass
