"""Discovery as clients do it: host-meta over HTTP (XEP-0156, RFC 6415, RFC 7395 section 4)."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from lxml import etree

from boshgate.config import Config, load
from boshgate.web import upstream
from boshgate.web.app import Gateway
from tests.web.front import EMPTY, Front, RawConnection, eventually, running
from tests.web.otherweb import LRDD, XRD, XRD_NS, OtherWeb, http, other_web

XRD_PATH = "/.well-known/host-meta"
JRD_PATH = "/.well-known/host-meta.json"
BOSH = "https://gate.example/http-bind"
WEBSOCKET = "wss://gate.example/xmpp-websocket"
LINKS = [
    {"rel": "urn:xmpp:alt-connections:xbosh", "href": BOSH},
    {"rel": "urn:xmpp:alt-connections:websocket", "href": WEBSOCKET},
]
PUBLIC: dict[str, Any] = {"public_url": "https://gate.example"}
TLS = {"X-Forwarded-Proto": "https"}
"""What a trusted proxy says of a request that came by HTTPS."""


class Site:
    """A gateway, asked as its proxy asks it."""

    def __init__(self, front: Front) -> None:
        self.front = front

    async def ask(
        self, path: str = XRD_PATH, host: str = "example.org", method: str = "GET", **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://127.0.0.1:{self.front.port}{path}"
        return await self.front.http.request(method, url, headers={"Host": host, **TLS, **named})

    async def raw(self, *lines: str, path: str = XRD_PATH) -> tuple[int, str]:
        """Send a request with nothing but *lines* for a head."""
        connection: RawConnection = await self.front.raw()
        await connection.send("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]))
        answer = await connection.answer()
        return answer.status, answer.body


class MakeSite(Protocol):
    """Starts a gateway for *domains* (names, or names and their other documents)."""

    async def __call__(self, *domains: str, upstreams: dict[str, str] = ..., **server: Any) -> Site: ...


def configured(domains: tuple[str, ...], upstreams: dict[str, str], server: dict[str, Any]) -> Config:
    tables = [
        {"name": name, "backends": ["tcp://127.0.0.1:1"]}
        | ({"host_meta_upstream": upstreams[name]} if name in upstreams else {})
        for name in domains or ("example.org",)
    ]
    return load(flags={"server": server, "limits": {"close_timeout": 1}, "domains": tables})


@pytest.fixture
async def make_site() -> AsyncIterator[MakeSite]:
    async with AsyncExitStack() as stack:

        async def make(*domains: str, upstreams: dict[str, str] | None = None, **server: Any) -> Site:
            config = configured(domains, upstreams or {}, server or PUBLIC)
            return Site(await stack.enter_async_context(running(config)))

        yield make


@pytest.fixture
async def site(make_site: MakeSite) -> Site:
    return await make_site()


@pytest.fixture
async def web() -> AsyncIterator[OtherWeb]:
    async with other_web() as web:
        yield web


def xrd_links(answer: httpx.Response) -> list[dict[str, str]]:
    """The links, as a client finds them that parses the document."""
    root = etree.fromstring(answer.content)
    assert root.tag == f"{{{XRD_NS}}}XRD"
    return [{str(k): str(v) for k, v in link.attrib.items()} for link in root.iter(f"{{{XRD_NS}}}Link")]


def jrd_links(answer: httpx.Response) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = answer.json()["links"]
    return links


def discovered(links: list[dict[str, Any]]) -> dict[str, str]:
    """What a client connects to: by method, addresses with TLS only (XEP-0156 section 2.2)."""
    prefix = "urn:xmpp:alt-connections:"
    return {
        link["rel"].removeprefix(prefix): link["href"]
        for link in links
        if link["rel"].startswith(prefix) and link["href"].startswith(("https://", "wss://"))
    }


@pytest.mark.rule("D1", "D3")
async def test_xrd(site: Site) -> None:
    answer = await site.ask()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xrd+xml; charset=utf-8"
    assert xrd_links(answer) == LINKS


@pytest.mark.rule("D2", "D3")
async def test_jrd(site: Site) -> None:
    answer = await site.ask(JRD_PATH, accept="application/xrd+xml")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"links": LINKS}


@pytest.mark.rule("D1", "D2")
async def test_a_client_finds_both_transports_in_either_document(site: Site) -> None:
    expected = {"xbosh": BOSH, "websocket": WEBSOCKET}
    assert discovered(xrd_links(await site.ask())) == expected
    assert discovered(jrd_links(await site.ask(JRD_PATH))) == expected


@pytest.mark.rule("D3")
@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("application/*", False),
        ("application/xrd+xml", False),
        ("application/xrd+xml, text/xml", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/html", False),  # there is nothing else: better than 406
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/json, */*;q=0.1", True),
        ("application/json;q=0.5, application/xrd+xml", False),
        ("application/json, application/xrd+xml", False),
        ("application/xrd+xml;q=0.5, application/json;q=0.51", True),
        ("application/xrd+xml;q=0, */*", True),
        ("application/json;q=0", False),
        ("application/json;q=2", False),
        ("application/json;q=nan, ;;,,=", False),
        ("application/json;level=1;q=1.000", True),
    ],
)
async def test_accept_chooses_the_format(site: Site, accept: str, json: bool) -> None:
    answer = await site.ask(accept=accept)
    expected = "application/json" if json else "application/xrd+xml; charset=utf-8"
    assert answer.headers["content-type"] == expected
    assert answer.headers["vary"] == "Accept"


@pytest.mark.rule("D3")
async def test_without_accept_the_answer_is_xrd(site: Site) -> None:  # RFC 6415 section 3, MUST
    status, body = await site.raw("Host: example.org", "X-Forwarded-Proto: https")
    assert (status, body[:5]) == (200, "<?xml")


@pytest.mark.rule("D4")
async def test_it_is_refused_in_clear_text(site: Site) -> None:
    for path in (XRD_PATH, JRD_PATH):
        answer = await site.ask(path, X_Forwarded_Proto="http")
        assert answer.status_code == 403
        assert "HTTPS only (XEP-0156" in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert "gate.example" not in answer.text
    assert (await site.raw("Host: example.org"))[0] == 403


@pytest.mark.rule("D4")
async def test_who_is_no_trusted_proxy_cannot_say_that_it_was_https(make_site: MakeSite) -> None:
    site = await make_site(**PUBLIC, trusted_proxies=["192.0.2.0/24"])
    assert (await site.ask()).status_code == 403


@pytest.mark.rule("D4")
async def test_https_without_a_proxy_is_seen(make_site: MakeSite) -> None:
    gateway = Gateway(configured((), {}, PUBLIC))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway)) as client:
        assert (await client.get(f"https://example.org{XRD_PATH}")).status_code == 200
        assert (await client.get(f"http://example.org{XRD_PATH}")).status_code == 403
    await gateway.shut_down()


@pytest.mark.rule("D4")
@pytest.mark.parametrize(
    ("server", "text", "level"),
    [
        ({"port": 0}, "server.public_url is not set; set it to the https:// address", logging.INFO),
        ({"public_url": "http://gate.example"}, "server.public_url is not https://", logging.WARNING),
        ({"allow_clear_text_discovery": True}, "server.public_url is not set", logging.INFO),
    ],
)
async def test_without_an_address_with_tls_there_is_no_discovery(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture, server: dict[str, Any], text: str, level: int
) -> None:
    caplog.set_level(logging.INFO)
    site = await make_site(**server)
    (record,) = [record for record in caplog.records if record.name == "boshgate.hostmeta"]
    assert record.levelno == level
    assert text in record.message
    for path in (XRD_PATH, JRD_PATH):
        answer = await site.ask(path)
        assert (answer.status_code, text in answer.text) == (404, True)
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.rule("D4")
async def test_the_test_switch_allows_clear_text(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    site = await make_site(public_url="HTTP://localhost:5280/", allow_clear_text_discovery=True)
    assert "allow_clear_text_discovery is on" in caplog.text
    answer = await site.ask(X_Forwarded_Proto="http")
    assert [link["href"] for link in xrd_links(answer)] == [
        "http://localhost:5280/http-bind",
        "ws://localhost:5280/xmpp-websocket",
    ]


@pytest.mark.rule("D5")
@pytest.mark.parametrize("path", [XRD_PATH, JRD_PATH])
async def test_every_origin_may_read_it(site: Site, path: str) -> None:
    for answer in (
        await site.ask(path, Origin="https://other.example"),
        await site.ask(path, host="unknown.example"),
        await site.ask(path, method="POST"),
        await site.ask(path, method="OPTIONS"),
    ):
        assert answer.headers.get_list("access-control-allow-origin") == ["*"]
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.rule("D5")
@pytest.mark.parametrize("path", [XRD_PATH, JRD_PATH])
async def test_preflight(site: Site, path: str) -> None:
    answer = await site.ask(
        path, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET"
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "accept" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-max-age" in answer.headers


@pytest.mark.rule("D5")
async def test_the_asterisk_is_for_these_paths_only(make_site: MakeSite) -> None:
    site = await make_site(**PUBLIC, allowed_origins=["https://good.example"])
    for path in ("/", "/config.json", "/http-bind", f"{XRD_PATH}/", f"{XRD_PATH}2", "/.well-known/"):
        answer = await site.ask(path, Origin="https://other.example")
        assert "access-control-allow-origin" not in answer.headers, path
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site.front.gateway.admin)) as admin:
        for path in ("/healthz", XRD_PATH):
            answer = await admin.get(f"https://example.org{path}")
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PROPFIND"])
async def test_it_is_only_read(site: Site, method: str) -> None:
    answer = await site.ask(method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_head(site: Site) -> None:
    full, head = await site.ask(), await site.ask(method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in full.headers.items() if k != "date"
    }


async def test_it_is_kept_for_five_minutes_and_validated(site: Site) -> None:
    xrd, jrd = await site.ask(), await site.ask(accept="application/json")
    assert xrd.headers["cache-control"] == "public, max-age=300"
    assert xrd.headers["etag"] != jrd.headers["etag"]
    tag = xrd.headers["etag"]
    for tags in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await site.ask(If_None_Match=tags)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["access-control-allow-origin"] == "*"
    for tags in ('"x"', jrd.headers["etag"], tag.strip('"'), ""):
        assert (await site.ask(If_None_Match=tags)).status_code == 200


@pytest.mark.rule("D6")
async def test_links_are_told_once_and_no_srv_record_is_repeated(site: Site) -> None:
    assert sorted(link["rel"] for link in xrd_links(await site.ask())) == [
        "urn:xmpp:alt-connections:websocket",
        "urn:xmpp:alt-connections:xbosh",
    ]


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    "host",
    ["example.org", "EXAMPLE.org", "example.org:443", "example.org:8443", "example.org.", "example.org:"],
)
async def test_the_domain_is_chosen_by_host(site: Site, host: str) -> None:
    assert xrd_links(await site.ask(host=host)) == LINKS


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    "host",
    [
        "unknown.example",
        "gate.example",
        "127.0.0.1:5280",
        "[::1]",
        "[::1]:5280",
        "[::1",
        "::1",
        "example.org@evil.example",
        "evil.example/example.org",
        "example.org:443:80",
        "example.org:x",
        "example.org, evil.example",
        "<script>",
        "a" * 300,
        "\xff\xfe",
        ".",
        "",
    ],
)
async def test_an_unknown_host_is_not_found(site: Site, host: str) -> None:
    status, body = await site.raw(f"Host: {host}", "X-Forwarded-Proto: https")
    assert status == 404
    assert body == "The domain in Host is not served here.\n"


@pytest.mark.rule("D7")
async def test_no_host_and_two_hosts(site: Site) -> None:
    connection = await site.front.raw()
    await connection.send(f"GET {XRD_PATH} HTTP/1.0\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert (await connection.answer()).status == 404
    status, _ = await site.raw("Host: example.org", "Host: evil.example", "X-Forwarded-Proto: https")
    assert status == 400


@pytest.mark.rule("D7")
async def test_nothing_of_a_request_gets_into_the_document(site: Site) -> None:
    evil = "evil.example"
    expected = (await site.ask()).content
    for answer in (
        await site.ask(host="example.org:1234"),
        await site.ask(X_Forwarded_Host=evil, X_Forwarded_Port="1", X_Forwarded_Prefix="/evil"),
        await site.ask(Forwarded=f"host={evil};proto=https", X_Original_URL=f"https://{evil}/"),
        await site.ask(f"{XRD_PATH}?host={evil}"),
    ):
        assert answer.content == expected
    connection = await site.front.raw()
    head = f"GET https://{evil}{XRD_PATH} HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-Proto: https\r\n\r\n"
    await connection.send(head)
    assert (await connection.answer()).body.encode() == expected


@pytest.mark.rule("D7")
async def test_an_internationalised_domain(make_site: MakeSite) -> None:
    site = await make_site("Bücher.example", public_url="https://chat.bücher.example")
    for host in ("xn--bcher-kva.example", "XN--BCHER-KVA.example:443", "bücher.example", "BÜCHER.example"):
        status, body = await site.raw(f"Host: {host}", "X-Forwarded-Proto: https", path=JRD_PATH)
        assert status == 200
        assert json.loads(body)["links"][0]["href"] == "https://chat.xn--bcher-kva.example/http-bind"


@pytest.mark.rule("D7")
@pytest.mark.parametrize(
    ("public_url", "bosh", "websocket"),
    [
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", "wss://[2001:db8::1]:8443"),
        ("https://gate.example:443/", "https://gate.example:443", "wss://gate.example:443"),
        ("https://gate.example/prefix/", "https://gate.example/prefix", "wss://gate.example/prefix"),
        ("HTTPS://Gate.Example", "https://gate.example", "wss://gate.example"),
    ],
)
async def test_addresses_come_from_the_configuration(
    make_site: MakeSite, public_url: str, bosh: str, websocket: str
) -> None:
    site = await make_site(public_url=public_url)
    assert [link["href"] for link in xrd_links(await site.ask())] == [
        f"{bosh}/http-bind",
        f"{websocket}/xmpp-websocket",
    ]


@pytest.mark.rule("D7")
async def test_several_domains_each_with_its_own_document(make_site: MakeSite, tmp_path: Path) -> None:
    names = [f"{letter}.example" for letter in "abc"]
    upstreams = {}
    for name in names[:2]:
        upstreams[name] = str(tmp_path / name)
        (tmp_path / name).write_text(json.dumps({"subject": f"https://{name}/"}))
    site = await make_site(*names, upstreams=upstreams, **PUBLIC)
    answers = [(await site.ask(JRD_PATH, host=name)).json() for name in names]
    assert [answer.get("subject") for answer in answers] == ["https://a.example/", "https://b.example/", None]
    assert [answer["links"] for answer in answers] == [LINKS] * 3


@pytest.mark.rule("D9")
async def test_no_dns_method_and_no_half_of_the_next_version(site: Site) -> None:
    assert list((await site.ask(JRD_PATH)).json()) == ["links"]
    assert (await site.ask("/.well-known/host-meta-2.json")).status_code == 404


# --- Merging with the domain's other document ----------------------------------------------------------


@pytest.mark.rule("D1", "D2", "D3")
@pytest.mark.parametrize("kind", ["url", "file"])
async def test_the_other_document_survives_in_both_formats(
    make_site: MakeSite, web: OtherWeb, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "host-meta"
    file.write_bytes(XRD)
    site = await make_site(upstreams={"example.org": web.url if kind == "url" else str(file)})
    xrd, jrd = await site.ask(), await site.ask(JRD_PATH)
    root = etree.fromstring(xrd.content)
    assert root.findtext(f"{{{XRD_NS}}}Subject") == "https://example.org/"
    assert root.findtext(f"{{{XRD_NS}}}Alias") == "https://www.example.org/"
    assert root.findtext(f"{{{XRD_NS}}}Property") == "1.2"
    assert root.findtext("{http://host-meta.net/xrd/1.0}Host") == "example.org"
    lrdd = {"rel": "lrdd", "type": "application/xrd+xml", "template": LRDD}
    author = {"rel": "author", "href": "https://example.org/steve"}
    assert xrd_links(xrd) == [lrdd, author, *LINKS]
    more = {
        "titles": {"default": "About", "de": "Über"},
        "properties": {"https://example.org/ns/role": "editor"},
    }
    assert jrd.json() == {
        "subject": "https://example.org/",
        "aliases": ["https://www.example.org/"],
        "properties": {"https://example.org/ns/version": "1.2", "https://example.org/ns/none": None},
        "links": [lrdd, author | more, *LINKS],
    }


async def test_a_json_document_is_merged_into_xml_too(make_site: MakeSite, web: OtherWeb) -> None:
    link = {"rel": "lrdd", "template": LRDD}
    old = {"rel": "urn:xmpp:alt-connections:websocket", "href": "wss://old.example/"}
    web.answer = http(json.dumps({"links": [link, old]}).encode())
    site = await make_site(upstreams={"example.org": web.url})
    assert xrd_links(await site.ask()) == [link, *LINKS]
    assert jrd_links(await site.ask(JRD_PATH)) == [link, *LINKS]
    assert len(web.heads) == 1


async def test_without_the_other_document_ours_is_served_for_a_short_time(
    make_site: MakeSite, web: OtherWeb, caplog: pytest.LogCaptureFixture
) -> None:
    web.answer = http(b"", status="404 Not Found")
    site = await make_site(upstreams={"example.org": web.url})
    for _ in range(3):
        answer = await site.ask()
        assert xrd_links(answer) == LINKS
        assert answer.headers["cache-control"] == "public, max-age=30"
    assert caplog.text.count("the host-meta upstream of example.org cannot be used") == 1


async def test_a_slow_upstream_holds_up_nobody_else(
    make_site: MakeSite, web: OtherWeb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "TIMEOUT", 2.0)

    async def silence(_head: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    web.answer = silence
    site = await make_site("example.org", "other.example", upstreams={"example.org": web.url}, **PUBLIC)
    waiting = asyncio.create_task(site.ask())
    await eventually(lambda: web.heads)
    async with asyncio.timeout(1):
        assert xrd_links(await site.ask(host="other.example")) == LINKS
        assert (await site.front.post(EMPTY)).status_code == 200
    assert not waiting.done()
    await site.front.gateway.host_meta.close()  # what a shutdown does: the request is answered all the same
    assert xrd_links(await waiting) == LINKS


async def test_an_upstream_that_is_ourselves_is_noticed(
    make_site: MakeSite, web: OtherWeb, caplog: pytest.LogCaptureFixture
) -> None:
    site = await make_site("example.org", "other.example", upstreams={"example.org": web.url}, **PUBLIC)

    async def proxy(head: str) -> bytes:
        via = next(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("via:"))
        answer = await site.ask(Via=f"{via}, 1.1 nginx")
        return http(answer.content, status=f"{answer.status_code} X")

    web.answer = proxy
    async with asyncio.timeout(3):
        assert xrd_links(await site.ask()) == LINKS
    assert "HTTP 508" in caplog.text
    assert (await site.ask(host="other.example", Via="1.1 boshgate.example.org")).status_code == 200


async def test_an_entity_bomb_is_not_served(make_site: MakeSite, web: OtherWeb) -> None:
    bomb = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(9))
    document = f"<!DOCTYPE X [<!ENTITY e0 'ha'>{bomb}]><XRD xmlns='{XRD_NS}'><Subject>&e9;</Subject></XRD>"
    web.answer = http(document.encode())
    site = await make_site(upstreams={"example.org": web.url})
    answer = await site.ask()
    assert xrd_links(answer) == LINKS
    assert len(answer.content) < 1000


async def test_what_is_configured_without_a_public_address_is_said_aloud(
    make_site: MakeSite, web: OtherWeb, caplog: pytest.LogCaptureFixture
) -> None:
    await make_site(upstreams={"example.org": web.url}, port=0)
    assert "discovery (host-meta) is switched off: server.public_url is not set" in caplog.text
