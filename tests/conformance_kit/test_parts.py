"""The parts of the kit that need no endpoint: the register, SASL, parsing, decompression, the time limits."""

import asyncio
import gzip
import re
import secrets
import ssl
import zlib
from base64 import b64decode, b64encode

import httpx
import pytest

from boshgate.conformance.check import Fails, Section, Transport
from boshgate.conformance.checks import all_checks
from boshgate.conformance.kit import Kit
from boshgate.conformance.sasl import choose, scram_sha1
from boshgate.conformance.target import Account, Target
from boshgate.conformance.wire import Answer, answer_of, decompress
from boshgate.conformance.xml import brief, parse

REQUIREMENT = re.compile(r"(?:[A-Z]|WS|SM|HC)[0-9]{1,2}")
NOWHERE = Target(
    "http://localhost/", "ws://localhost/", "localhost", Account("alice"), tls=ssl.create_default_context()
)


def test_every_check_says_what_it_is_about() -> None:
    checks = all_checks()
    assert len(checks) >= 90
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.requirements, check.name
        assert all(REQUIREMENT.fullmatch(requirement) for requirement in check.requirements), check.name
        assert re.match(r"XEP-\d{4} |RFC \d{4}|clients: |CWE-|XML 1.0 |WHATWG ", check.source), check.name
        assert check.rule.endswith((".", ")")), check.name


def test_a_check_is_found_by_its_requirement_or_a_part_of_its_name() -> None:
    found = [check.name for check in all_checks() if check.matches("R5")]
    assert "repeats.an_answered_request_gets_the_same_again" in found
    assert "http.a_post_is_answered_with_one_body" not in found
    assert {check.section for check in all_checks() if check.matches("websocket opening")} == {
        "WebSocket opening"
    }
    assert [check.name for check in all_checks() if check.matches("XEP-0252")] == [
        "http.the_script_syntax_is_not_served"
    ]


def test_scram_is_that_of_rfc_5802_section_5(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: "fyko+d2lbbFgONRv9qkxdawL")
    client = scram_sha1("user", "pencil")
    assert b64decode(next(client)) == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    first = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    assert b64decode(client.send(b64encode(first).decode())) == (
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )


def test_scram_refuses_a_nonce_that_is_not_its_own() -> None:
    client = scram_sha1("user", "pencil")
    next(client)
    with pytest.raises(Fails, match="nonce"):
        client.send(b64encode(b"r=another,s=QSXCR+Q6sek8bf92,i=4096").decode())


@pytest.mark.parametrize(
    ("offered", "user", "chosen"),
    [
        (["PLAIN", "SCRAM-SHA-1", "EXTERNAL"], "alice", "SCRAM-SHA-1"),
        (["PLAIN"], "alice", "PLAIN"),
        (["PLAIN", "ANONYMOUS"], None, "ANONYMOUS"),
    ],
)
def test_the_best_mechanism_is_chosen(offered: list[str], user: str | None, chosen: str) -> None:
    assert choose(offered, user, "secret")[0] == chosen


def test_without_a_mechanism_there_is_no_login() -> None:
    with pytest.raises(Fails, match="ANONYMOUS"):
        choose(["PLAIN"], None, "")


@pytest.mark.parametrize(
    "text",
    [
        "", "<a>", "<a/><b/>", "<a><!-- c --></a>", "<a><?p i?></a>", "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", "<!DOCTYPE a SYSTEM 'file:///etc/hostname'><a/>", "\x00",
    ],
)  # fmt: skip
def test_what_xmpp_does_not_allow_is_no_document(text: str) -> None:
    assert parse(text) is None


def test_a_document_is_one() -> None:
    root = parse("<?xml version='1.0'?><a xmlns='urn:a'>&lt;&#x1F600;</a>")
    assert root is not None
    assert (root.tag, root.text) == ("{urn:a}a", "<\U0001f600")


def test_codings_are_undone_and_others_are_not() -> None:
    assert decompress(gzip.compress(b"text"), "gzip") == b"text"
    assert decompress(zlib.compress(b"text"), "deflate") == b"text"
    raw = zlib.compressobj(wbits=-15)
    for data, coding in (
        (
            raw.compress(b"text") + raw.flush(),
            "deflate",
        ),  # RFC 9110 section 8.4.1.2: not without zlib's header
        (gzip.compress(b"text")[:-4], "gzip"),
        (gzip.compress(b"text") + b"more", "gzip"),
        (b"text", "br"),
    ):
        with pytest.raises(Fails):
            decompress(data, coding)


async def _answer(text: str, status: int = 200) -> Answer:
    headers = httpx.Headers({"Content-Type": "text/xml"})
    return answer_of(status, headers, text.encode(), asyncio.get_running_loop().time())


async def test_a_response_is_told_from_what_is_none() -> None:
    body = "<body xmlns='http://jabber.org/protocol/httpbind' {}>{}</body>"
    assert (await _answer(body.format("", ""))).is_empty
    assert not (await _answer(body.format("", "<a xmlns='urn:a'/>"))).is_empty
    assert (await _answer(body.format("type='terminate'", ""))).is_terminate
    assert (await _answer(body.format("type='error'", ""))).is_error
    for text, status in (("<html/>", 200), (body.format("", ""), 404), ("<body/>", 200), ("", 200)):
        with pytest.raises(Fails, match="no <body/> but HTTP"):
            (await _answer(text, status)).wrapper  # noqa: B018


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<body xmlns='urn:b' a='1' condition='c' type='t'/>", '<body type="t" condition="c" a="1"/>'),
        ("<b:x xmlns:b='urn:b' b:y='1'>text</b:x>", '<b:x b:y="1">text</b:x>'),
        ("<x xmlns='urn:b'><y a='1'><z/></y></x>", "<x><y/></x>"),
        (f"<x>{'a' * 300}</x>", f"<x>{'a' * 197}..."),
    ],
)
def test_an_element_is_told_in_short(text: str, told: str) -> None:
    root = parse(text)
    assert root is not None
    assert brief(root) == told


def test_a_check_has_a_rule_and_a_name_of_its_own() -> None:
    section = Section("Test", Transport.BOSH, prefix="http")

    async def without_a_rule(_kit: Kit) -> str:
        return ""

    async def a_post_is_answered_with_one_body(_kit: Kit) -> str:
        """A rule."""
        return ""

    for attempt in (without_a_rule, a_post_is_answered_with_one_body):
        with pytest.raises(AssertionError):
            section.must("H1", "XEP-0124 5")(attempt)
