"""Rooms: multi-user chat as its users know it (XEP-0045)."""

import itertools

import pytest

from tests.e2e.flows.conftest import People
from tests.e2e.flows.web_user import Data, WebUser
from tests.support.clients import CLIENT, Client
from tests.support.servers import ROOMS
from tests.support.stanzas import is_message_from, is_presence

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

DISCO_INFO = "http://jabber.org/protocol/disco#info"
MUC = "http://jabber.org/protocol/muc"

_NUMBERS = itertools.count(1)


async def enter(user: Client, room: str, nick: str) -> None:
    """Join *room* from a plain stream; what the room says first has been read, up to its subject."""
    await user.connection.send(f"<presence xmlns='{CLIENT}' to='{room}/{nick}'><x xmlns='{MUC}'/></presence>")
    await user.wait_for(is_presence(None, f"{room}/{nick}"))
    await user.wait_for(lambda element: element.find(f"{{{CLIENT}}}subject") is not None)


async def say(user: Client, to: str, kind: str, text: str) -> None:
    await user.connection.send(
        f"<message xmlns='{CLIENT}' to='{to}' type='{kind}'><body>{text}</body></message>"
    )


async def open_room(user: WebUser) -> str:
    """Create a room with a form filled in (XEP-0045 section 10.1.3) and return its JID."""
    room = f"room-{next(_NUMBERS)}@{ROOMS}"
    joined = await user.call("joinRoom", room, "Alice ♥")
    assert "201" in joined["muc"]["statusCodes"], "the room is new"
    form = await user.call("getRoomConfig", room)
    assert "muc#roomconfig_roomname" in [field.get("name") for field in form["fields"]]
    name = {"name": "muc#roomconfig_roomname", "type": "text-single", "value": "Küche & Co."}
    kind = {"name": "FORM_TYPE", "type": "hidden", "value": f"{MUC}#roomconfig"}
    await user.call("configureRoom", room, {"type": "submit", "fields": [kind, name]})
    return room


async def test_people_meet_in_a_room(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    room = await open_room(alice)
    await enter(bob, room, "bob")
    arrived = await alice.wait_for("muc:available", lambda data: data["from"] == f"{room}/bob")
    assert arrived["muc"]["role"] == "participant"
    (info,) = await bob.query("get", f"<query xmlns='{DISCO_INFO}'/>", to=room)
    identity = info.find(f"{{{DISCO_INFO}}}identity")
    assert identity is not None
    assert identity.get("name") == "Küche & Co."

    # They talk.
    await alice.call("sendMessage", {"to": room, "type": "groupchat", "body": "Hello \U0001f44b <all>"})
    heard = await bob.wait_for(is_message_from(f"{room}/Alice ♥"))
    assert (heard.get("type"), heard.findtext(f"{{{CLIENT}}}body")) == ("groupchat", "Hello \U0001f44b <all>")
    await say(bob, room, "groupchat", "moin")
    told = await alice.wait_for("groupchat", lambda data: data["from"] == f"{room}/bob")
    assert told["body"] == "moin"

    # They whisper.
    await alice.call("sendMessage", {"to": f"{room}/bob", "type": "chat", "body": "psst"})
    heard = await bob.wait_for(is_message_from(f"{room}/Alice ♥"))
    assert (heard.get("type"), heard.findtext(f"{{{CLIENT}}}body")) == ("chat", "psst")
    await say(bob, f"{room}/Alice ♥", "chat", "was?")
    told = await alice.wait_for("chat", lambda data: data["from"] == f"{room}/bob")
    assert (told["type"], told["body"]) == ("chat", "was?")

    # Alice sets the subject, and leaves.
    await alice.call("setSubject", room, "Cake & \U0001f370")
    heard = await bob.wait_for(lambda element: element.find(f"{{{CLIENT}}}subject") is not None)
    assert heard.findtext(f"{{{CLIENT}}}subject") == "Cake & \U0001f370"
    left = await alice.call("leaveRoom", room)
    assert left["from"] == f"{room}/Alice ♥"
    await bob.wait_for(is_presence("unavailable", f"{room}/Alice ♥"))


async def test_user_who_comes_back_reads_what_was_said(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    room = await open_room(alice)
    await enter(bob, room, "bob")
    await alice.call("setSubject", room, "Plans")
    await alice.wait_for("muc:topic", lambda data: data["topic"] == "Plans")
    await alice.call("leaveRoom", room)
    texts = [f"{number} bottles \U0001f37e" for number in range(8)]
    for text in texts:
        await say(bob, room, "groupchat", text)
        await bob.wait_for_message()  # the room has it

    joined = await alice.call("joinRoom", room, "Alice again")
    assert joined["from"] == f"{room}/Alice again"
    history: list[Data] = [
        await alice.wait_for("groupchat", lambda data: data["from"] == f"{room}/bob") for _ in texts
    ]
    assert [told["body"] for told in history] == texts
    assert all("timestamp" in told["delay"] for told in history), "these are old"
    await alice.wait_for("muc:topic", lambda data: data["topic"] == "Plans")

    await say(bob, room, "groupchat", "welcome back")
    told = await alice.wait_for("groupchat", lambda data: data["from"] == f"{room}/bob")
    assert (told["body"], "delay" in told) == ("welcome back", False)
