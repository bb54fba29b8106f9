"""Origins: what is allowed, and what every answer says about it (Fetch standard)."""

import pytest

from boshgate.web.cors import Origins

GOOD = Origins(["https://good.example", "http://localhost:8080"])


@pytest.mark.parametrize(
    "origin",
    [
        "https://good.example",
        "HTTPS://GOOD.example",
        "https://good.example:443",
        "http://localhost:8080",
        None,
    ],
)
def test_a_listed_origin_is_allowed(origin: str | None) -> None:
    assert GOOD.allows(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://good.example.evil.example",
        "https://evil-good.example",
        "http://good.example",
        "https://good.example:444",
        "https://good.example:x",
        "http://localhost",
        "null",
        "",
        "127.0.0.1",
    ],
)
def test_any_other_origin_is_refused(origin: str) -> None:  # attack S12
    assert not GOOD.allows(origin)


def test_an_asterisk_allows_all() -> None:
    assert Origins(["*"]).allows("null")
    assert Origins(["*"]).headers([]) == [(b"access-control-allow-origin", b"*")]


def test_a_listed_origin_is_reflected_and_caches_are_told() -> None:
    headers = dict(GOOD.headers([(b"origin", b"https://good.example")]))
    assert headers == {b"access-control-allow-origin": b"https://good.example", b"vary": b"Origin"}


@pytest.mark.rule("H12")
def test_a_foreign_origin_gets_no_permission() -> None:
    assert GOOD.headers([(b"origin", b"https://evil.example")]) == [(b"vary", b"Origin")]
    assert GOOD.headers([]) == [(b"vary", b"Origin")]


def test_preflight_allows_what_clients_send() -> None:
    headers = dict(GOOD.preflight())
    assert headers[b"access-control-allow-methods"] == b"POST, OPTIONS"
    assert b"Content-Type" in headers[b"access-control-allow-headers"]
