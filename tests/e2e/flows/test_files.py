"""Files: in the stream itself (XEP-0047), and by the server's HTTP (XEP-0363)."""

import asyncio
import base64
import itertools
import random

import httpx
import pytest

from tests.e2e.flows.conftest import People
from tests.e2e.flows.web_user import Data
from tests.e2e.node import ClientFailedError
from tests.support.clients import CLIENT, Client
from tests.support.servers import CHAT_DOMAIN, UPLOAD_LIMIT, UPLOADS
from tests.support.stanzas import is_message_from, reply

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

IBB = "http://jabber.org/protocol/ibb"
OOB = "jabber:x:oob"
BLOCK_SIZE = 4096

FILE = random.Random(47).randbytes(100_001)
BLOCKS = [FILE[start : start + BLOCK_SIZE] for start in range(0, len(FILE), BLOCK_SIZE)]


async def take_file(user: Client) -> bytes:
    """Accept the next bytestream offered to *user*, and return what came through it."""
    opened = await user.expect(f"{{{CLIENT}}}iq")
    assert (opened[0].tag, opened[0].get("block-size")) == (f"{{{IBB}}}open", str(BLOCK_SIZE))
    await user.connection.send(reply(opened))
    content = b""
    for number in itertools.count():
        iq = await user.expect(f"{{{CLIENT}}}iq")
        await user.connection.send(reply(iq))
        assert iq[0].get("sid") == opened[0].get("sid")
        if iq[0].tag == f"{{{IBB}}}close":
            break
        assert iq[0].get("seq") == str(number)
        content += base64.b64decode(iq[0].text or "", validate=True)
    return content


async def test_user_sends_a_file_in_band(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    taking = asyncio.create_task(take_file(bob))
    steps: list[Data] = [{"action": "open", "blockSize": BLOCK_SIZE, "ack": True}]
    for number, block in enumerate(BLOCKS):
        steps.append({"action": "data", "seq": number, "data": {"type": "Buffer", "data": list(block)}})
    for step in [*steps, {"action": "close"}]:
        await alice.call("sendIQ", {"to": bob.jid, "type": "set", "ibb": {"sid": "i1", **step}})
    assert await taking == FILE


async def test_user_gets_a_file_in_band(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    await bob.query("set", f"<open xmlns='{IBB}' sid='i2' block-size='{BLOCK_SIZE}'/>", to=alice.jid)
    for number, block in enumerate(BLOCKS):
        text = base64.b64encode(block).decode()
        await bob.query("set", f"<data xmlns='{IBB}' sid='i2' seq='{number}'>{text}</data>", to=alice.jid)
    await bob.query("set", f"<close xmlns='{IBB}' sid='i2'/>", to=alice.jid)

    steps: list[Data] = [(await alice.wait_for("iq:set:ibb"))["ibb"] for _ in range(len(BLOCKS) + 2)]
    assert [step["action"] for step in steps] == ["open", *["data"] * len(BLOCKS), "close"]
    assert [step["seq"] for step in steps[1:-1]] == list(range(len(BLOCKS)))
    assert b"".join(bytes(step["data"]["data"]) for step in steps[1:-1]) == FILE


async def test_user_sends_a_file_by_http(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    service = await alice.call("getUploadService", CHAT_DOMAIN)
    assert service == {"jid": UPLOADS, "maxSize": UPLOAD_LIMIT}
    wanted = {"name": "résumé & co.bin", "size": len(FILE), "mediaType": "application/octet-stream"}
    slot = await alice.call("getUploadSlot", UPLOADS, wanted)

    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {header["name"]: header["value"] for header in slot["upload"].get("headers", [])}
        headers["Content-Type"] = "application/octet-stream"
        stored = await http.put(slot["upload"]["url"], content=FILE, headers=headers)
        assert stored.status_code == 201
        link = {"url": slot["download"]}
        await alice.call("sendMessage", {"to": bob.jid, "type": "chat", "body": link["url"], "links": [link]})
        received = await bob.wait_for(is_message_from(alice.jid))
        url = received.findtext(f"{{{OOB}}}x/{{{OOB}}}url")
        assert url == received.findtext(f"{{{CLIENT}}}body")
        assert url is not None
        assert (await http.get(url)).content == FILE

    with pytest.raises(ClientFailedError) as failed:
        await alice.call("getUploadSlot", UPLOADS, {**wanted, "size": UPLOAD_LIMIT + 1})
    assert isinstance(failed.value.error, dict)
    error = failed.value.error["error"]
    assert (error["condition"], error["httpUploadMaxFileSize"]) == ("not-acceptable", UPLOAD_LIMIT)
