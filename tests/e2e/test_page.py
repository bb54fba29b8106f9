"""The page as a person uses it: ``boshgate demo`` and Chromium; elements are found by data-testid."""

import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

import boshgate
from tests.e2e.conftest import Chromium
from tests.support.gateway import boshgate_environment
from tests.support.ports import free_port
from tests.support.process import Child
from tests.support.requirements import skip_or_fail

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
STROPHE = Path(boshgate.__file__).parent.parent / "static" / "vendor" / "strophe.umd.min.js"

OpenPage = Callable[..., Awaitable[Page]]


class Demo:
    """``boshgate demo`` as a child process."""

    def __init__(self, directory: Path) -> None:
        argv = [sys.executable, "-m", "boshgate", "demo", "--port", "0"]
        self.child = Child("boshgate-demo", argv, directory=directory, env=boshgate_environment())
        self.child.wait_until(lambda: "boshgate ready: " in self.child.stdout())
        ready = re.search(r"^boshgate ready: (\S+) ", self.child.stdout(), re.MULTILINE)
        assert ready is not None, "wait_until has just seen it"
        self.url = ready[1]
        self.password = self.child.stdout().partition("password ")[2].split()[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if not STROPHE.exists():
        skip_or_fail("the page is not built (npm ci --prefix static; npm run build --prefix static)")
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.child.kill()


@pytest.fixture
def doomed_demo(tmp_path: Path) -> Iterator[Demo]:
    """One of a test's own, to be ended."""
    demo = Demo(tmp_path)
    yield demo
    demo.child.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(chromium: Chromium, demo: Demo) -> AsyncIterator[OpenPage]:
    """Open the page in a profile of its own; what the browser complained about fails the test."""
    contexts = []
    errors: list[str] = []

    async def open_page(path: str = "/", *, size: dict[str, int] = DESKTOP, **settings: object) -> Page:
        context = await chromium.new_context()
        contexts.append(context)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Security Policy" in said.text else None)
        await page.set_viewport_size({"width": size["width"], "height": size["height"]})
        if settings:
            await page.route("**/config.json", change_settings(settings))
        await page.goto(demo.url + path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert errors == []


def change_settings(settings: dict[str, object]) -> Callable[[Route], Awaitable[None]]:
    async def handle(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(body=json.dumps(await answer.json() | settings), content_type="application/json")

    return handle


async def log_in(page: Page, name: str, transport: str) -> None:
    await page.get_by_test_id(f"transport-{transport}").check(force=True)
    await page.get_by_test_id(f"demo-{name}").click()
    await expect(page.get_by_test_id("workspace")).to_be_visible()


async def open_chat(page: Page, name: str) -> None:
    await page.locator(f"[data-testid=contact][data-jid='{name}@localhost']").click()
    await expect(page.get_by_test_id("peer-name")).to_have_text(name)


async def say(page: Page, text: str) -> None:
    await page.get_by_test_id("composer").fill(text)
    await page.get_by_test_id("send").click()


async def fits(page: Page) -> None:
    """Nothing that is to be seen is wider than the window."""
    beyond = await page.evaluate(
        """() => [...document.querySelectorAll("body *")]
            .filter((each) => !each.closest(".sprite, .unseen") && each.checkVisibility())
            .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
            .map((each) => `${each.tagName}.${each.getAttribute("class")}`)"""
    )
    assert beyond == []


async def test_two_demo_users_chat_over_both_transports(demo: Demo, open_page: OpenPage) -> None:
    alice, bob = await open_page(), await open_page()
    await log_in(alice, "alice", "bosh")
    await log_in(bob, "bob", "websocket")
    await expect(alice.get_by_test_id("transport-badge")).to_have_attribute("data-transport", "bosh")
    await expect(bob.get_by_test_id("transport-badge")).to_have_text("WebSocket")
    await expect(alice.get_by_test_id("connection-state")).to_have_attribute("data-connection", "online")
    await expect(alice.locator("[data-jid='bob@localhost'][data-presence=online]")).to_be_visible()

    await open_chat(alice, "bob")
    await open_chat(bob, "alice")
    await say(alice, "Hello <bob> & 👩‍🚀")
    await expect(bob.locator("[data-testid=message][data-direction=in]")).to_contain_text(
        "Hello <bob> & 👩‍🚀"
    )
    await expect(alice.locator("[data-direction=out][data-state=delivered]")).to_be_visible()  # XEP-0184
    await say(bob, "🦄")
    await expect(alice.locator("[data-testid=message][data-direction=in]")).to_contain_text("🦄")

    for page in (alice, bob):
        await expect(page.get_by_test_id("rtt")).to_have_text(re.compile(r"^\d+(\.\d)?$"))
        await expect(page.locator("[data-testid=frame][data-direction=out]").first).to_be_visible()
        await expect(page.locator("[data-testid=frame][data-direction=in]").first).to_be_visible()
        await page.get_by_test_id("logout").click()
        await expect(page.get_by_test_id("login")).to_be_visible()
        await expect(page.get_by_test_id("login-error")).to_be_hidden()


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_the_frames_show_no_credentials(demo: Demo, open_page: OpenPage, transport: str) -> None:
    page = await open_page()
    await log_in(page, "alice", transport)
    await expect(page.get_by_test_id("rtt")).not_to_have_text("–")
    await page.get_by_test_id("frames-pause").click()
    for name in ("auth SCRAM-SHA-1", "challenge", "response", "success"):
        frame = page.get_by_test_id("frame").filter(has_text=name).first
        await frame.locator("summary").click()
        await expect(frame.locator("pre")).to_contain_text(re.compile(r"…\d+ characters hidden…"))
    shown = await page.get_by_test_id("frames").inner_text()
    assert demo.password not in shown
    assert "biws" not in shown  # the channel binding in base64: every SCRAM response begins with it
    await page.get_by_test_id("frames-clear").click()
    await expect(page.get_by_test_id("frame")).to_have_count(0)
    await page.get_by_test_id("frames-pause").click()
    await expect(page.get_by_test_id("frame").first).to_be_visible()


async def test_automatic_takes_websocket(open_page: OpenPage) -> None:
    page = await open_page()
    await log_in(page, "alice", "auto")
    await expect(page.get_by_test_id("transport-badge")).to_have_text("WebSocket")


async def test_automatic_falls_back_to_bosh(open_page: OpenPage) -> None:
    page = await open_page(websocket=f"ws://127.0.0.1:{free_port()}/nobody-listens")
    await log_in(page, "alice", "auto")
    await expect(page.get_by_test_id("transport-badge")).to_have_text("BOSH")


async def test_own_account_wrong_password_and_then_the_right_one(demo: Demo, open_page: OpenPage) -> None:
    page = await open_page(demo=None)
    await expect(page.get_by_test_id("demo-alice")).to_have_count(0)
    await page.get_by_test_id("login-jid").fill("carol@localhost")
    await page.get_by_test_id("login-password").fill("wrong")
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_test_id("login-error")).to_contain_text("Wrong user name or password")
    await page.get_by_test_id("login-password").fill(demo.password)
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_test_id("me")).to_have_text("carol")


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_an_unknown_domain_is_explained(open_page: OpenPage, transport: str) -> None:
    page = await open_page()
    await page.get_by_test_id(f"transport-{transport}").check(force=True)
    await page.get_by_test_id("login-jid").fill("me@elsewhere.example")
    await page.get_by_test_id("login-password").fill("x")
    await page.get_by_test_id("login-submit").click()
    await expect(page.get_by_test_id("login-error")).to_contain_text("No server for “elsewhere.example” here")


@pytest.mark.parametrize("transport", ["bosh", "websocket"])
async def test_a_lost_gateway_is_told_and_tried_again(
    doomed_demo: Demo, open_page: OpenPage, transport: str
) -> None:
    page = await open_page()
    await page.goto(doomed_demo.url)
    await log_in(page, "alice", transport)
    doomed_demo.child.send_signal(signal.SIGTERM)
    await expect(page.get_by_test_id("banner")).to_contain_text("Trying again", timeout=20_000)
    await expect(page.get_by_test_id("connection-state")).not_to_have_attribute("data-connection", "online")
    await page.get_by_test_id("logout").click()
    await page.get_by_test_id("demo-alice").click()
    await expect(page.get_by_test_id("login-error")).to_contain_text("cannot be reached", timeout=20_000)


async def test_a_link_logs_a_demo_user_in(doomed_demo: Demo, open_page: OpenPage) -> None:
    page = await open_page()
    await page.goto(f"{doomed_demo.url}/#as=bob&via=bosh")  # a demo where nobody else is online
    await expect(page.get_by_test_id("me")).to_have_text("bob")
    await expect(page.get_by_test_id("transport-badge")).to_have_text("BOSH")
    await open_chat(page, "alice")
    link = page.get_by_test_id("demo-link")
    await expect(link).to_have_attribute("href", "/#as=alice&via=websocket")


async def test_without_strophe_the_page_says_what_to_install(chromium: Chromium, demo: Demo) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    await page.route("**/vendor/**", lambda route: route.fulfill(status=404))
    await page.goto(demo.url)
    await expect(page.get_by_test_id("setup")).to_contain_text("npm ci --prefix static")
    await context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_is_wider_than_a_phone(open_page: OpenPage, scheme: str) -> None:
    page = await open_page(size=PHONE)
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await fits(page)
    await log_in(page, "alice", "auto")
    await fits(page)
    await open_chat(page, "bob")
    await say(page, "a very long word: " + "x" * 300)
    await expect(page.locator("[data-testid=message][data-state=failed]")).to_contain_text("Not delivered")
    await fits(page)
    await page.get_by_test_id("tab-wire").click()
    await page.get_by_test_id("frame").filter(has_text="message").first.locator("summary").click()
    await expect(page.get_by_test_id("wire").locator("pre").first).to_be_visible()
    await fits(page)
