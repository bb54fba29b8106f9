"""Content codings of requests and responses (XEP-0124 sections 5, 7.1 and 7.2)."""

import gzip
import zlib
from hashlib import sha256

import httpx
import pytest

from boshgate.sessions.store import ACCEPT
from boshgate.web.coding import (
    Corrupt,
    Inflated,
    Offer,
    UnsupportedCoding,
    compress,
    decompress,
    read_offer,
    request_coding,
)
from tests.web.conftest import MakeFront
from tests.web.front import BODY, CREATE, DOMAIN, Chat, Front, XmppServer, message, post, terminal

TEXT = b"<body>" + b"x" * 5000 + b"</body>"
LONG = f"<message id='a1'><body>{'hello ' * 500}</body></message>"


def raw_deflate(data: bytes) -> bytes:
    """The deflate format with nothing around it."""
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


# --- Requests -------------------------------------------------------------------------------------------


@pytest.mark.rule("H8", "H9")
@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"gzip", "gzip"),
        (b" GZip ", "gzip"),
        (b"x-gzip", "gzip"),
        (b"deflate", "deflate"),
        (b"identity, deflate", "deflate"),
        (b"identity", None),
        (b"", None),
        (b"text/xml; charset=utf-8", None),  # libpurple
        (b"utf-8, \xff", None),
    ],
)
def test_coding_of_a_request(header: bytes, coding: str | None) -> None:
    assert request_coding(header) == coding


@pytest.mark.rule("H9")
@pytest.mark.parametrize("header", [b"br", b"zstd", b"compress", b"gzip, br", b"gzip, gzip", b"deflate,gzip"])
def test_coding_that_was_not_announced(header: bytes) -> None:
    with pytest.raises(UnsupportedCoding):
        request_coding(header)


@pytest.mark.rule("H8")
def test_what_is_announced_is_understood() -> None:
    assert [request_coding(name.encode()) for name in ACCEPT.split(",")] == ["gzip", "deflate"]


@pytest.mark.rule("H8")
@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (gzip.compress(TEXT), "gzip"),
        (gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:]), "gzip"),
        (zlib.compress(TEXT), "deflate"),
        (raw_deflate(TEXT), "deflate"),
    ],
)
def test_decompression_up_to_the_limit(data: bytes, coding: str) -> None:
    assert decompress(data, coding, len(TEXT)) == TEXT
    with pytest.raises(Inflated):
        decompress(data, coding, len(TEXT) - 1)


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (b"", "gzip"),
        (b"", "deflate"),
        (TEXT, "gzip"),
        (TEXT, "deflate"),
        (gzip.compress(TEXT)[:-1], "gzip"),
        (gzip.compress(TEXT) + b"more", "gzip"),
        (gzip.compress(b"") * 2, "gzip"),
        (gzip.compress(b"x") * 200, "gzip"),  # each member costs a copy of all that follow
        (zlib.compress(TEXT) + b"more", "deflate"),
        (zlib.compress(TEXT)[:-1] + b"\0", "deflate"),
    ],
)
def test_corrupt_data(data: bytes, coding: str) -> None:
    with pytest.raises(Corrupt):
        decompress(data, coding, 10_000)


@pytest.mark.rule("H8")
async def test_requests_may_come_compressed(front: Front, chat: Chat, xmpp_server: XmppServer) -> None:
    answer = await chat.create(wait="0")
    assert "accept='gzip,deflate'" in answer.text
    server = await xmpp_server.accept()
    for number, coding in enumerate(("gzip", "deflate")):
        body = chat.body(message(number)).encode()
        packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        answer = await front.post(packed, Content_Encoding=coding)
        assert answer.status_code == 200
        await server.hears(f"id='m{number}'")


@pytest.mark.rule("H9")
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
async def test_unknown_coding_leaves_the_session_alone(front: Front, chat: Chat, coding: str) -> None:
    await chat.create(wait="0")
    body = chat.body(message(1))
    refused = await front.post(body, Content_Encoding=coding)
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "gzip, deflate"
    assert refused.headers["access-control-allow-origin"] == "*"
    assert (await front.post(body)).status_code == 200


@pytest.mark.rule("H9")
@pytest.mark.parametrize(("second", "status"), [("identity", 200), ("br", 415), ("gzip", 415)])
async def test_codings_in_several_lines_are_one_list(front: Front, second: str, status: int) -> None:
    raw = await front.raw()
    packed = gzip.compress(CREATE.encode())
    lines = ["Content-Encoding: gzip", f"Content-Encoding: {second}", f"Content-Length: {len(packed)}"]
    await raw.send(("\r\n".join(["POST /http-bind HTTP/1.1", *lines]) + "\r\n\r\n").encode() + packed)
    answer = await raw.answer()
    assert answer.status == status
    assert ("sid=" in answer.body) == (status == 200)


@pytest.mark.rule("E1")
async def test_corrupt_request_is_a_bad_request(front: Front) -> None:
    answer = await front.post(CREATE, Content_Encoding="gzip")
    assert (answer.status_code, answer.text) == (200, terminal("bad-request"))


# --- Responses ------------------------------------------------------------------------------------------


@pytest.mark.rule("H7", "HC25d")
@pytest.mark.parametrize(
    ("header", "offer"),
    [
        (b"", Offer(None, True)),
        (b"gzip", Offer("gzip", True)),
        (b"gzip, deflate, br, zstd", Offer("gzip", True)),
        (b"deflate", Offer("deflate", True)),
        (b"x-gzip;q=0.5, deflate;q=0.8", Offer("deflate", True)),
        (b"gzip;q=0", Offer(None, True)),
        (b"gzip;q=0.000, deflate ; q=0.001", Offer("deflate", True)),
        (b"gzip;q=0, *", Offer("deflate", True)),
        (b"*;q=0", Offer(None, False)),
        (b"*;q=0, identity;q=0.5", Offer(None, True)),
        (b"gzip, identity;q=0", Offer("gzip", False)),
        (b"gzip;q=0.5, identity", Offer(None, True)),
        (b"identity", Offer(None, True)),
        (b"br", Offer(None, True)),
        (b"gzip;q=high", Offer(None, True)),
        (b"gzip;q=1;level=9", Offer(None, True)),
        (b"gzip;level=9", Offer(None, True)),
        (b"gzip;q=2", Offer("gzip", True)),
        (b"gzip;q=1.000000000000000000", Offer(None, True)),
        (b",, gzip", Offer("gzip", True)),
    ],
)
def test_offer_of_a_client(header: bytes, offer: Offer) -> None:
    assert read_offer(header) == offer


@pytest.mark.rule("H7")
def test_only_what_gains_is_compressed() -> None:
    assert compress(b"x" * 1023, b"gzip") == (b"x" * 1023, None)
    packed, coding = compress(b"x" * 1024, b"gzip")
    assert (gzip.decompress(packed), coding) == (b"x" * 1024, "gzip")
    packed, coding = compress(TEXT, b"deflate")
    assert (zlib.decompress(packed), coding) == (TEXT, "deflate")
    noise = b"".join(sha256(bytes([number])).digest() for number in range(64))
    assert compress(noise, b"gzip") == (noise, None)
    assert compress(TEXT, b"br") == (TEXT, None)
    assert compress(b"short", b"gzip, identity;q=0")[1] == "gzip"


@pytest.mark.rule("H3", "H4", "H7", "R5", "HC25")
async def test_hc25d_response_is_compressed_as_the_request_wants_it(
    front: Front, chat: Chat, xmpp_server: XmppServer
) -> None:
    await chat.create(content="text/xml; charset=UTF-8")
    server = await xmpp_server.accept()
    held = await chat.hold()
    await server.says(LONG)
    plain = await held
    assert plain.headers["content-encoding"] == "gzip"  # httpx asks for it
    codings = {"gzip": "gzip", "deflate": "deflate", "gzip;q=0": None, "br": None, "": None}
    for accepted, coding in codings.items():
        async with front.http.stream(
            "POST", front.bosh_url, content=chat.sent[-1], headers={"Accept-Encoding": accepted}
        ) as again:
            wire = b"".join([piece async for piece in again.aiter_raw()])
        assert again.headers.get("content-encoding") == coding
        assert again.headers["content-length"] == str(len(wire))
        assert again.headers["content-type"] == "text/xml; charset=UTF-8"  # the session's
        assert again.headers["vary"] == "Accept-Encoding"
        assert httpx.Response(200, headers=again.headers, content=wire).text == plain.text
        assert coding is None or len(wire) < len(plain.content) / 5


@pytest.mark.rule("H7")
async def test_compression_can_be_switched_off(make_front: MakeFront, xmpp_server: XmppServer) -> None:
    chat = Chat(await make_front(bosh={"compression": False}))
    assert "accept='gzip,deflate'" in (await chat.create()).text  # requests are another matter
    await (await xmpp_server.accept()).says(LONG)
    await chat.post()
    for accepted in ("gzip", "gzip;q=1, identity;q=0"):
        again = await chat.front.post(chat.sent[-1], Accept_Encoding=accepted)
        assert "hello hello" in again.text
        assert "content-encoding" not in again.headers


@pytest.mark.rule("H7")
async def test_short_response_is_left_alone(front: Front) -> None:
    answer = await front.post(CREATE)
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers
    for accepted in ("gzip;q=0", "gzip;q=0.5, br"):
        answer = await front.post(CREATE, Accept_Encoding=accepted)
        assert "content-encoding" not in answer.headers
        assert "sid=" in answer.text


@pytest.mark.rule("H7")
async def test_who_wants_nothing_plain_gets_it_all_compressed(front: Front) -> None:
    raw = await front.raw()
    lines = ["Accept-Encoding: gzip", "Accept-Encoding: identity;q=0", "Origin: https://chat.example"]
    await raw.send(post("<", *lines, "Connection: close"))
    head, _, body = (await raw.rest()).partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head.lower()
    assert gzip.decompress(body).decode() == terminal("bad-request")


# --- Legacy clients (17.1), as far as the endpoint decides -------------------------------------------------


@pytest.mark.rule("E13")
async def test_refused_creation_of_an_old_client_has_its_code(front: Front) -> None:
    old = f"{BODY} rid='1' to='{DOMAIN}' wait='-1'/>"
    answer = await front.post(old)
    assert (answer.status_code, answer.text) == (400, terminal("bad-request"))
    new = await front.post(old.replace(" to=", " ver='1.6' to="))
    assert (new.status_code, new.text) == (200, terminal("bad-request"))
    for condition, attributes in {"host-unknown": "to='other.example'", "improper-addressing": ""}.items():
        answer = await front.post(f"{BODY} rid='1' {attributes}/>")
        assert (answer.status_code, answer.text) == (200, terminal(condition))
