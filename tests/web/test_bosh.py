"""BOSH over real HTTP (XEP-0124): what every answer has, and what is refused, and how."""

import re

import pytest

from tests.web.conftest import MakeFront
from tests.web.front import (
    BODY,
    CREATE,
    DOMAIN,
    END,
    HB,
    SUCCESS,
    Chat,
    Front,
    XmppServer,
    eventually,
    post,
    terminal,
)

# --- HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.rule("H3", "H4", "H10", "H12", "H15")
async def test_every_answer_is_ok_has_a_length_and_is_kept_by_nobody(front: Front) -> None:
    answer = await front.post(CREATE)
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["content-type"] == "text/xml; charset=utf-8"
    assert headers["content-length"] == str(len(answer.content))
    assert "transfer-encoding" not in headers
    assert headers["cache-control"] == "no-store"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-accel-buffering"] == "no"


@pytest.mark.rule("H17")
async def test_a_chosen_content_type_cannot_make_a_page_of_this_origin(chat: Chat) -> None:
    answer = await chat.create(content="text/html; charset=utf-8")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


async def test_the_answer_names_no_server(front: Front) -> None:
    assert "server" not in (await front.post(CREATE)).headers


@pytest.mark.rule("H12")
async def test_listed_origins_are_reflected_on_answers_and_errors(make_front: MakeFront) -> None:
    front = await make_front(server={"allowed_origins": ("https://chat.example",)})
    for answer in (
        await front.post(CREATE, Origin="https://chat.example"),
        await front.post("<", Origin="https://chat.example"),
        await front.http.options(front.bosh_url, headers={"Origin": "https://chat.example"}),
        await front.http.get(front.bosh_url, headers={"Origin": "https://chat.example"}),
    ):
        assert answer.headers["access-control-allow-origin"] == "https://chat.example"
        assert answer.headers["vary"] == "Origin"
    foreign = await front.post(CREATE, Origin="https://evil.example")
    assert "access-control-allow-origin" not in foreign.headers
    assert foreign.headers["vary"] == "Origin"


@pytest.mark.rule("H13")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_allowed(front: Front, method: str) -> None:
    answer = await front.http.request(method, front.bosh_url)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(front.gateway.sessions) == 0


@pytest.mark.rule("H14")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_script_syntax_is_not_found(front: Front, method: str) -> None:  # attack S27
    answer = await front.http.request(method, front.bosh_url, params={CREATE: ""})
    assert answer.status_code == 404
    assert len(front.gateway.sessions) == 0


@pytest.mark.rule("H5", "H6", "H9")
@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Content-Type: text/plain"],
        ["Content-Type: application/x-www-form-urlencoded"],
        ["Content-Type: nonsense"],
        ["Content-Encoding: text/xml; charset=utf-8"],  # libpurple
        ["Host: chat.example:5222", "X-Unknown: 1", "keep-alive:true"],
        ["Content-Type:text/xml", "Host:chat.example"],  # tsung
        ["Content-Type: multipart/form-data; boundary=x"],
    ],
)
async def test_headers_of_the_request_are_not_judged(front: Front, lines: list[str]) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE, *lines))
    answer = await raw.answer()
    assert answer.status == 200
    assert "sid=" in answer.body


@pytest.mark.rule("H2", "HC25b")
async def test_http_1_0_without_host_closes_after_the_answer(front: Front) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE, "Connection: close", version="1.0"))
    answer = await raw.answer()
    assert "sid=" in answer.body
    assert answer.headers["connection"] == "close"
    assert await raw.rest() == b""


async def test_header_lines_are_written_as_name_colon_space_value(front: Front) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE))
    answer = await raw.answer()
    assert all(re.fullmatch(r"[a-z-]+: \S.*", line) for line in answer.lines)


@pytest.mark.rule("H2")
async def test_head_and_body_in_separate_writes(front: Front) -> None:  # xmpp4r, tclxmpp
    raw = await front.raw()
    head, body = post(CREATE).split("\r\n\r\n")
    await raw.send(head, "\r\n\r\n", body[:20], body[20:])
    assert "sid=" in (await raw.answer()).body


@pytest.mark.rule("H2")
async def test_a_chunked_request_without_length(front: Front) -> None:
    raw = await front.raw()
    head = "POST /http-bind HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [f"{len(part):x}\r\n{part}\r\n" for part in (CREATE[:9], CREATE[9:])]
    await raw.send(head, *chunks, "0\r\n\r\n")
    assert "sid=" in (await raw.answer()).body


@pytest.mark.rule("H2")
async def test_a_client_that_wants_to_be_told_to_continue_is_told(front: Front) -> None:
    raw = await front.raw()
    head, body = post(CREATE, "Expect: 100-continue").split("\r\n\r\n")
    await raw.send(head + "\r\n\r\n")
    assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await raw.send(body)
    assert "sid=" in (await raw.answer()).body


@pytest.mark.rule("H2", "H6")
async def test_an_offer_to_upgrade_is_no_hindrance(front: Front) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"))
    assert "sid=" in (await raw.answer()).body


# --- What is refused ------------------------------------------------------------------------------------


@pytest.mark.rule(
    "W1", "W2", "W3", "W5", "W13", "C1", "C2", "C4", "C5", "C6", "E1", "E2", "E3", "E5", "E7", "H10"
)
@pytest.mark.parametrize(
    ("body", "condition"),
    [
        ("", "bad-request"),
        ("<", "bad-request"),
        ("hello", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}'>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}'/>{BODY}/>", "bad-request"),
        ("<body rid='1'/>", "bad-request"),  # W1: no namespace
        (f"<other xmlns='{HB}' rid='1'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}'><!-- c --></body>", "bad-request"),  # W2, HC24 c
        (f"{BODY} rid='1' to='{DOMAIN}'><?pi?></body>", "bad-request"),
        (f"<!DOCTYPE a>{BODY} rid='1' to='{DOMAIN}'/>", "bad-request"),
        (f"<!DOCTYPE a [<!ENTITY b 'c'>]>{BODY} rid='1' to='&b;'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}'>text</body>", "bad-request"),  # W3
        (f"{BODY} to='{DOMAIN}'/>", "bad-request"),  # W5
        (f"{BODY} rid='0' to='{DOMAIN}'/>", "bad-request"),
        (f"{BODY} rid='-1' to='{DOMAIN}'/>", "bad-request"),
        (f"{BODY} rid='+5' to='{DOMAIN}'/>", "bad-request"),
        (f"{BODY} rid='1e9' to='{DOMAIN}'/>", "bad-request"),  # HC24 e
        (f"{BODY} rid='\u0661\u0662\u0663' to='{DOMAIN}'/>", "bad-request"),
        (f"{BODY} rid='9007199254740992' to='{DOMAIN}'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}' ver='x'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}' ver='1.6' wait='-1'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}' ver='1.6' hold='x'/>", "bad-request"),
        (f"{BODY} rid='1' to='{DOMAIN}' ver='1.6'><iq xmlns='jabber:client'/></body>", "bad-request"),  # C1
        (f"{BODY} rid='1'/>", "improper-addressing"),  # C2
        (f"{BODY} rid='1' to=''/>", "improper-addressing"),
        (f"{BODY} rid='1' to='a@{DOMAIN}'/>", "improper-addressing"),
        (f"{BODY} rid='1' to='unknown.example'/>", "host-unknown"),
        (f"{BODY} rid='1' to='unknown.example' route='xmpp:127.0.0.1:22'/>", "host-unknown"),  # HC24 b
        (f"{BODY} rid='1' sid='unknown'/>", "item-not-found"),
        (f"{BODY} rid='1' sid='' to='{DOMAIN}'/>", "item-not-found"),
        (
            f"{BODY} rid='1' to='{DOMAIN}'>" + "<a xmlns='b'>" * 200 + "</a>" * 200 + "</body>",
            "policy-violation",
        ),
    ],
    ids=lambda value: value if re.fullmatch("[a-z-]+", value) else value[:12],
)
async def test_a_request_that_cannot_be_served_ends_with_its_condition(
    front: Front, xmpp_server: XmppServer, log: pytest.LogCaptureFixture, body: str, condition: str
) -> None:
    answer = await front.post(body)
    assert answer.status_code == 200
    assert answer.text == terminal(condition)
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(front.gateway.sessions) == 0
    assert xmpp_server.connections == 0
    ours = [record for record in log.records if record.name.startswith("boshgate")]
    assert [record.levelname for record in ours] == ["INFO"]
    assert f"refused a request from 127.0.0.1: {condition}" in log.text
    assert front.metric("refused_total", transport="bosh", condition=condition) == 1


@pytest.mark.rule("H19")
async def test_what_is_not_utf_8_is_a_bad_request(front: Front) -> None:
    latin = f"<?xml version='1.0' encoding='ISO-8859-1'?>{BODY} rid='1' to='b\xe4r.example'/>"
    for body in (latin.encode("latin-1"), CREATE.encode("utf-16"), b"\xff" + CREATE.encode()):
        assert (await front.post(body)).text == terminal("bad-request")


@pytest.mark.rule("H19")
async def test_a_byte_order_mark_is_tolerated(front: Front) -> None:
    assert "sid=" in (await front.post("\ufeff" + CREATE)).text


@pytest.mark.rule("C2", "E2")
async def test_a_domain_that_is_served_no_longer_is_gone(make_front: MakeFront) -> None:
    front = await make_front(server={"former_domains": ("old.example",)})
    assert (await front.post(CREATE.replace(DOMAIN, "Old.Example"))).text == terminal("host-gone")


@pytest.mark.rule("C2")
async def test_the_domain_is_folded(front: Front) -> None:
    assert "sid=" in (await front.post(CREATE.replace(DOMAIN, "Example.ORG"))).text


@pytest.mark.rule("E1", "HC14")
async def test_a_malformed_request_leaves_sessions_alone(chat: Chat, xmpp_server: XmppServer) -> None:
    await chat.create()
    held = await chat.hold()
    assert (await chat.front.post(f"{BODY} sid='{chat.sid}' rid='1003'><!-- --></body>")).text == terminal(
        "bad-request"
    )
    await (await xmpp_server.accept()).says("<message id='a1'/>")
    assert "id='a1'" in (await held).text


@pytest.mark.rule("C16", "E7")
async def test_no_room_is_a_policy_violation(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_sessions": 1})
    await Chat(front).create()
    assert (await front.post(CREATE)).text == terminal("policy-violation")


@pytest.mark.rule("C16", "E7")
async def test_there_is_room_for_so_many_who_have_not_authenticated(
    make_front: MakeFront, xmpp_server: XmppServer
) -> None:
    front = await make_front(limits={"max_unauthenticated": 2})
    first, second = Chat(front), Chat(front)
    for chat in (first, second):
        await chat.create()
    servers = [await xmpp_server.accept() for _ in range(2)]
    assert (await front.post(CREATE)).text == terminal("policy-violation")
    await servers[0].says(SUCCESS)
    assert "<success" in (await first.post()).text
    third = Chat(front)
    await third.create()
    assert (await front.post(CREATE)).text == terminal("policy-violation")
    await second.hold(type="terminate")
    await servers[1].hears(END)
    servers[1].ends()
    await eventually(lambda: front.gateway.backends.unauthenticated == 1)
    await Chat(front).create()


# --- Size and time of a request (H18) -------------------------------------------------------------------


@pytest.mark.rule("H18")
async def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(
    make_front: MakeFront, log: pytest.LogCaptureFixture
) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    exact = CREATE + " " * (10_000 - len(CREATE))
    assert "sid=" in (await front.post(exact)).text
    log.clear()
    answer = await front.post(exact + " ")
    assert answer.status_code == 413
    assert answer.text == terminal("policy-violation")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    assert "refused a request from 127.0.0.1: HTTP 413, more than 10000 bytes" in log.text
    assert front.metric("refused_total", transport="bosh", condition="413") == 1


@pytest.mark.rule("H18")
async def test_a_large_content_length_is_refused_before_the_body(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    raw = await front.raw()
    await raw.send("POST /http-bind HTTP/1.1\r\nContent-Length: 10001\r\n\r\n")
    answer = await raw.answer()
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.rule("H18")
async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(
    make_front: MakeFront,
) -> None:  # attack S23
    front = await make_front(limits={"max_body_bytes": 10_000})
    raw = await front.raw()
    await raw.send("POST /http-bind HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = "1000\r\n" + " " * 4096 + "\r\n"
    await raw.send(chunk, chunk, chunk)
    assert (await raw.answer()).status == 413


async def test_a_client_that_goes_on_sending_too_much_is_not_cut_off(make_front: MakeFront) -> None:
    front = await make_front(limits={"max_body_bytes": 10_000})
    raw = await front.raw()
    await raw.send("POST /http-bind HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = "10000\r\n" + " " * 65536 + "\r\n"
    await raw.send(chunk)
    assert (await raw.answer()).status == 413
    # Now the connection would be reset, and on some systems the answer lost with it.
    for _ in range(20):
        await raw.send(chunk)
    await raw.send("0\r\n\r\n")
    assert await raw.rest() == b""


async def test_nor_is_it_listened_to_for_ever(make_front: MakeFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boshgate.web.closing.LINGER_SECONDS", 0.1)
    front = await make_front(limits={"max_body_bytes": 10_000})
    raw = await front.raw()
    await raw.send("POST /http-bind HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n")
    assert (await raw.answer()).status == 413
    assert await raw.rest() == b""


@pytest.mark.rule("H18")
async def test_a_slow_body_is_given_up(make_front: MakeFront, log: pytest.LogCaptureFixture) -> None:
    front = await make_front(limits={"body_timeout": 0.1})
    raw = await front.raw()
    await raw.send(post(CREATE)[:-1])
    answer = await raw.answer()
    assert answer.status == 408
    assert answer.body == terminal("bad-request")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["connection"] == "close"
    assert await raw.rest() == b""
    assert "HTTP 408, incomplete after 0.1 s" in log.text


async def test_a_client_that_hangs_up_in_mid_request_is_forgotten(
    front: Front, log: pytest.LogCaptureFixture
) -> None:
    raw = await front.raw()
    await raw.send(post(CREATE)[:-1])
    await raw.close()
    await eventually(lambda: not front.server.server_state.tasks)
    assert len(front.gateway.sessions) == 0
    assert "boshgate" not in log.text


async def test_what_is_no_http_is_refused(front: Front) -> None:
    raw = await front.raw()
    await raw.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # TLS at a plain port
    assert (await raw.rest()).startswith(b"HTTP/1.1 400 ")
