"""``boshgate demo`` as a process: it says what it is, serves the page's settings, and lets its users talk."""

import json
import re
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import BoshConnection, Client, WebSocketConnection
from tests.support.gateway import boshgate_environment
from tests.support.process import Child


@pytest.fixture
def demo_process(tmp_path: Path) -> Iterator[Child]:
    argv = [sys.executable, "-m", "boshgate", "demo", "--port", "0"]
    child = Child("boshgate-demo", argv, directory=tmp_path, env=boshgate_environment())
    try:
        child.wait_until(lambda: "boshgate ready: " in child.stdout())
        yield child
    finally:
        child.kill()


async def test_two_demo_users_talk_over_both_transports(demo_process: Child) -> None:
    banner = demo_process.stdout()
    assert "playground" in banner
    assert "not for real use" in banner
    url = re.search(r"^boshgate ready: (\S+) ", banner, re.MULTILINE)
    assert url is not None
    with urllib.request.urlopen(f"{url[1]}/config.json") as answer:
        settings = json.load(answer)
    assert settings["domains"] == ["localhost"]
    assert settings["demo"]["accounts"] == ["alice", "bob", "carol"]
    password = settings["demo"]["password"]
    assert f"with the password {password}\n" in banner
    bosh = BoshConnection("localhost", url[1] + settings["bosh"])
    websocket = WebSocketConnection("localhost", url[1].replace("http", "ws") + settings["websocket"])
    async with Client(bosh) as alice, Client(websocket) as bob:
        await alice.login("alice", password)
        await bob.login("bob", password)
        await alice.send_message(bob.jid, "over BOSH 🚀")
        assert await bob.wait_for_message() == "over BOSH 🚀"
        await bob.send_message(alice.jid, "over WebSocket 🦄")
        assert await alice.wait_for_message() == "over WebSocket 🦄"
    demo_process.send_signal(signal.SIGTERM)
    assert demo_process.wait(10) == 0
    assert "Traceback" not in demo_process.stderr()
