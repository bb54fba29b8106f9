"""Contacts: the roster, who may see whom, and what clients and servers can do (RFC 6121, XEP-0030, 0115)."""

import asyncio
import base64
import hashlib
from xml.etree.ElementTree import Element, fromstring

import pytest

from tests.e2e.flows.conftest import People
from tests.e2e.flows.web_user import Data, WebUser
from tests.support.clients import CLIENT, Client
from tests.support.servers import CHAT_DOMAIN, ROOMS, UPLOADS
from tests.support.stanzas import is_presence, reply

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ROSTER = "jabber:iq:roster"
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
CAPS = "http://jabber.org/protocol/caps"


async def pushed(user: WebUser, wanted: Data) -> None:
    """Wait for the roster push that says what is *wanted* of a contact."""
    await user.wait_for(
        "roster:update", lambda iq: any(wanted.items() <= item.items() for item in iq["roster"]["items"])
    )


async def roster_item(user: Client) -> Element:
    """Return the one item in the roster of *user*."""
    (item,) = (await user.query("get", f"<query xmlns='{ROSTER}'/>"))[0]
    return item


@pytest.mark.rule("B10")
async def test_two_people_become_contacts_and_see_each_other(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    assert (await alice.call("getRoster"))["items"] == []
    assert len((await bob.query("get", f"<query xmlns='{ROSTER}'/>"))[0]) == 0

    # Alice asks for Bob's presence.
    contact = {"jid": bob.bare_jid, "name": "Bob <& Söhne>", "groups": ["Zürich \U0001f3d4"]}
    await alice.call("updateRosterItem", contact)
    await pushed(alice, {**contact, "subscription": "none"})
    await alice.call("subscribe", bob.bare_jid)
    await pushed(alice, {**contact, "subscription": "none", "pending": "subscribe"})
    await bob.wait_for(is_presence("subscribe", alice.bare_jid))

    # Bob says yes, and asks in turn.
    await bob.connection.send(f"<presence xmlns='{CLIENT}' type='subscribed' to='{alice.bare_jid}'/>")
    await bob.connection.send(f"<presence xmlns='{CLIENT}' type='subscribe' to='{alice.bare_jid}'/>")
    await pushed(alice, {**contact, "subscription": "to"})
    await alice.wait_for("available", lambda presence: presence["from"] == bob.jid)
    await alice.wait_for("subscribe", lambda presence: presence["from"] == bob.bare_jid)
    await alice.call("acceptSubscription", bob.bare_jid)
    await pushed(alice, {**contact, "subscription": "both"})
    await bob.wait_for(is_presence(None, alice.jid))
    assert (await roster_item(bob)).attrib == {"jid": alice.bare_jid, "subscription": "both"}

    # Each sees what the other says of themselves.
    await alice.call("sendPresence", {"show": "dnd", "status": "thinking… \U0001f914", "priority": 5})
    seen = await bob.wait_for(lambda element: element.find(f"{{{CLIENT}}}show") is not None)
    assert seen.get("from") == alice.jid
    told = [seen.findtext(f"{{{CLIENT}}}{name}") for name in ("show", "status", "priority")]
    assert told == ["dnd", "thinking… \U0001f914", "5"]
    away = "<show>xa</show><status>out &amp; about</status>"
    await bob.connection.send(f"<presence xmlns='{CLIENT}'>{away}</presence>")
    presence = await alice.wait_for("available", lambda presence: presence.get("show") == "xa")
    assert (presence["from"], presence["status"]) == (bob.jid, "out & about")

    # Alice has had enough.
    await alice.call("removeRosterItem", bob.bare_jid)
    await pushed(alice, {"jid": bob.bare_jid, "subscription": "remove"})
    await bob.wait_for(is_presence("unavailable", alice.jid))
    assert (await roster_item(bob)).get("subscription") == "none"


async def test_user_looks_at_what_the_server_offers(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    info = await alice.call("getDiscoInfo", CHAT_DOMAIN)
    (straight,) = await bob.query("get", f"<query xmlns='{DISCO_INFO}'/>", to=CHAT_DOMAIN)
    assert info["features"] == [element.get("var") for element in straight.iter(f"{{{DISCO_INFO}}}feature")]
    assert "urn:xmpp:carbons:2" in info["features"]

    items = await alice.call("getDiscoItems", CHAT_DOMAIN)
    (straight,) = await bob.query("get", f"<query xmlns='{DISCO_ITEMS}'/>", to=CHAT_DOMAIN)
    jids = [item["jid"] for item in items["items"]]
    assert jids == [element.get("jid") for element in straight]
    assert {ROOMS, UPLOADS} <= set(jids)


def capabilities_hash(query: Element) -> str:
    """The verification string of a disco#info answer without forms (XEP-0115 section 5.1)."""
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    identities = [
        "/".join(identity.get(name, "") for name in ("category", "type", language, "name"))
        for identity in query.iter(f"{{{DISCO_INFO}}}identity")
    ]
    features = [feature.get("var", "") for feature in query.iter(f"{{{DISCO_INFO}}}feature")]
    text = "".join(f"{line}<" for line in sorted(identities) + sorted(features))
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


async def test_clients_tell_each_other_what_they_can_do(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()

    # Bob's client asks what Alice's hash stands for.
    (caps,) = await alice.call("updateCaps")
    await alice.call("sendPresence", {"to": bob.jid, "legacyCapabilities": [caps]})
    presence = await bob.wait_for(is_presence(None, alice.jid))
    element = presence.find(f"{{{CAPS}}}c")
    assert element is not None
    node = f"{element.get('node')}#{element.get('ver')}"
    (info,) = await bob.query("get", f"<query xmlns='{DISCO_INFO}' node='{node}'/>", to=alice.jid)
    assert (info.get("node"), capabilities_hash(info)) == (node, caps["value"])

    # Alice's client asks what Bob's hash stands for.
    content = (
        "<identity category='client' type='console' name='Ψ 0.11'/>"
        "<feature var='urn:xmpp:ping'/><feature var='http://jabber.org/protocol/muc'/>"
    )
    answer = f"<query xmlns='{DISCO_INFO}' node='http://psi.example#HASH'>{content}</query>"
    ver = capabilities_hash(fromstring(answer))
    answer = answer.replace("HASH", ver)
    element_text = f"<c xmlns='{CAPS}' hash='sha-1' node='http://psi.example' ver='{ver}'/>"
    await bob.connection.send(f"<presence xmlns='{CLIENT}' to='{alice.jid}'>{element_text}</presence>")
    announced = await alice.wait_for("disco:caps", lambda caps: caps["jid"] == bob.jid)
    assert announced["caps"] == [
        {"algorithm": "sha-1", "legacy": True, "node": "http://psi.example", "value": ver}
    ]
    asking = asyncio.create_task(alice.call("getDiscoInfo", bob.jid, f"http://psi.example#{ver}"))
    question = await bob.expect(f"{{{CLIENT}}}iq")
    assert question[0].get("node") == f"http://psi.example#{ver}"
    await bob.connection.send(reply(question, answer))
    learned = await asking
    (identity,) = learned["identities"]
    assert {"category": "client", "type": "console", "name": "Ψ 0.11"}.items() <= identity.items()
    assert learned["features"] == ["urn:xmpp:ping", "http://jabber.org/protocol/muc"]
