"""The page at ``/``: what is served, with which headers, and what is not."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest

import boshgate
from boshgate.config import Config, Domain
from boshgate.web import page
from tests.web.front import DOMAIN, Front

CONFIG = Config(domains=(Domain.model_validate({"name": DOMAIN, "backends": ["tcp://127.0.0.1:5222"]}),))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of its own."""
    monkeypatch.setattr(page, "PACKAGED", tmp_path / "absent")
    monkeypatch.setattr(page, "CHECKED_OUT", tmp_path)
    for name in ("js", "vendor", "node_modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "some.js").write_text("// some")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "app.js").write_text("// app")
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    return tmp_path


async def get(path: str, demo: dict[str, object] | None = None, method: str = "GET") -> httpx.Response:
    """Ask for *path* of the page."""
    transport = httpx.ASGITransport(page.page_app(CONFIG, demo))
    async with httpx.AsyncClient(transport=transport, base_url="http://page", trust_env=False) as client:
        return await client.request(method, path)


async def test_the_page_is_served_by_the_gateway(front: Front) -> None:
    answer = await front.http.get(f"http://127.0.0.1:{front.port}/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "access-control-allow-origin" not in answer.headers


async def test_every_answer_has_the_security_headers(folder: Path) -> None:
    for path in ("/", "/app.js", "/js/some.js", "/config.json", "/absent"):
        headers = (await get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-cache"


async def test_the_page_is_told_where_the_endpoints_are(folder: Path) -> None:
    demo: dict[str, object] = {"users": ["alice"], "password": "secret"}
    assert (await get("/config.json", demo)).json() == {
        "bosh": "/http-bind",
        "websocket": "/xmpp-websocket",
        "domains": [DOMAIN],
        "demo": demo,
        "version": boshgate.__version__,
    }
    assert (await get("/config.json")).json()["demo"] is None


@pytest.mark.parametrize("path", ["/app.js", "/js/some.js", "/vendor/some.js"])
async def test_the_parts_of_the_page_are_served(folder: Path, path: str) -> None:
    answer = await get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/node_modules/some.js",
        "/absent",
        "/js/",
        "/js/%2e%2e/package.json",
        "/js/..%2fpackage.json",
        "/http-bind",
    ],
)
async def test_nothing_else_is_served(folder: Path, path: str) -> None:
    assert (await get(path)).status_code == 404


@pytest.mark.parametrize(
    "path", ["/js/../package.json", "/js//etc/passwd", "/js/\0", "/js/../../../../etc/passwd"]
)
async def test_nobody_climbs_out_of_a_folder(folder: Path, path: str) -> None:
    answers: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(answer: MutableMapping[str, Any]) -> None:
        answers.append(answer)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
    }
    await page.page_app(CONFIG, None)(scope, receive, send)
    assert answers[0]["status"] == 404


async def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.js"
    secret.write_text("secret")
    (folder / "js" / "link.js").symlink_to(secret)
    assert (await get("/js/link.js")).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_page_is_only_read(folder: Path, method: str) -> None:
    assert (await get("/", method=method)).status_code == 405


async def test_a_head_request(folder: Path) -> None:
    answer = await get("/", method="HEAD")
    assert answer.status_code == 200
    assert answer.content == b""


async def test_parts_that_npm_did_not_install_are_not_found(folder: Path) -> None:
    (folder / "vendor" / "some.js").unlink()
    (folder / "vendor").rmdir()
    assert (await get("/vendor/some.js")).status_code == 404
    assert (await get("/")).status_code == 200


async def test_without_a_page_the_gateway_says_what_it_is(folder: Path) -> None:
    (folder / "index.html").unlink()
    answer = await get("/")
    assert answer.status_code == 200
    assert answer.text.startswith("boshgate: BOSH and WebSocket for XMPP.")


async def test_an_installed_package_brings_its_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PACKAGED", folder)
    monkeypatch.setattr(page, "CHECKED_OUT", folder / "absent")
    assert "<title>page</title>" in (await get("/")).text
