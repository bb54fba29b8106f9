"""What the demo server does with stanzas: roster, presence, messages, iq (RFC 6121); how it ends."""

from xml.etree.ElementTree import Element

import pytest

from boshgate.demo.server import DemoServer
from tests.demo.conftest import LogIn
from tests.support.clients import CLIENT, STREAMS, Client, StreamEndedError, TcpConnection

STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
PRESENCE = f"{{{CLIENT}}}presence"
MESSAGE = f"{{{CLIENT}}}message"


def condition(stanza: Element) -> str:
    assert stanza.get("type") == "error"
    found = stanza.find(f"{{{CLIENT}}}error")
    assert found is not None
    return found[0].tag.removeprefix(f"{{{STANZA_ERRORS}}}")


async def presence_of(client: Client, jid: str) -> Element:
    return await client.wait_for(lambda element: element.tag == PRESENCE and element.get("from") == jid)


async def test_everybody_is_in_everybodys_roster(log_in: LogIn) -> None:
    alice = await log_in("alice")
    roster = await alice.query("get", "<query xmlns='jabber:iq:roster'/>")
    items = list(roster.iter("{jabber:iq:roster}item"))
    assert [(item.get("jid"), item.get("subscription")) for item in items] == [
        ("bob@localhost", "both"),
        ("carol@localhost", "both"),
    ]


async def test_presence_goes_both_ways(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    bob = await log_in("bob", "b")
    assert (await presence_of(alice, "bob@localhost/b")).get("type") is None
    assert (await presence_of(bob, "alice@localhost/a")).get("type") is None
    await bob.connection.send(f"<presence xmlns='{CLIENT}'><show>away</show></presence>")
    assert (await presence_of(alice, "bob@localhost/b")).findtext(f"{{{CLIENT}}}show") == "away"
    await bob.connection.send(f"<presence xmlns='{CLIENT}' type='unavailable'/>")
    assert (await presence_of(alice, "bob@localhost/b")).get("type") == "unavailable"


async def test_a_lost_connection_becomes_unavailable_presence(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    bob = await log_in("bob", "b")
    await presence_of(alice, "bob@localhost/b")
    await bob.connection.cut()
    assert (await presence_of(alice, "bob@localhost/b")).get("type") == "unavailable"


async def test_directed_presence_reaches_one(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    bob = await log_in("bob", "b", presence=False)
    await bob.connection.send(f"<presence xmlns='{CLIENT}' to='alice@localhost/a'><show>xa</show></presence>")
    assert (await presence_of(alice, "bob@localhost/b")).findtext(f"{{{CLIENT}}}show") == "xa"


async def test_subscriptions_change_nothing(log_in: LogIn) -> None:
    alice = await log_in("alice")
    await alice.connection.send(f"<presence xmlns='{CLIENT}' type='probe'/>")
    assert (await alice.query("get", "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"


async def test_a_message_to_the_bare_address_reaches_all_resources(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    phone = await log_in("bob", "phone")
    desk = await log_in("bob", "desk")
    await alice.send_message("bob@localhost", "Grüße 👩‍🚀 & <more>")
    for client in (phone, desk):
        received = await client.wait_for(lambda element: element.tag == MESSAGE)
        assert received.get("from") == "alice@localhost/a"
        assert received.findtext(f"{{{CLIENT}}}body") == "Grüße 👩‍🚀 & <more>"


async def test_a_message_to_a_full_address_reaches_that_one(log_in: LogIn) -> None:
    alice = await log_in("alice")
    phone = await log_in("bob", "phone")
    desk = await log_in("bob", "desk")
    await alice.send_message("bob@localhost/phone", "only here")
    await alice.send_message("bob@localhost/gone", "to whoever is there")  # RFC 6121 8.5.3.2.1
    first = await phone.wait_for(lambda element: element.tag == MESSAGE)
    other = await desk.wait_for(lambda element: element.tag == MESSAGE)
    assert first.findtext(f"{{{CLIENT}}}body") == "only here"
    assert other.findtext(f"{{{CLIENT}}}body") == "to whoever is there"


@pytest.mark.parametrize("to", ["bob@localhost", "nobody@localhost", "someone@elsewhere.example"])
async def test_a_message_to_nobody_comes_back(log_in: LogIn, to: str) -> None:
    alice = await log_in("alice")
    await alice.send_message(to, "anybody there?", "m1")
    error = await alice.wait_for(lambda element: element.get("id") == "m1")
    assert condition(error) == "service-unavailable"
    assert error.get("from") == to


async def test_an_error_is_not_answered_by_an_error(log_in: LogIn) -> None:
    alice = await log_in("alice")
    await alice.connection.send(f"<message xmlns='{CLIENT}' to='bob@localhost' type='error' id='e'/>")
    answer = await alice.ask("get", "<ping xmlns='urn:xmpp:ping'/>")
    assert answer.get("type") == "result"
    assert alice.connection.waiting == 0


async def test_a_message_keeps_every_byte_but_its_addresses(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    await alice.connection.send(
        f'<message xmlns="{CLIENT}" to = \'alice@localhost/a\' from="alice@localhost" xml:lang="de" '
        "xmlns:x='urn:x' x:y='&lt;&apos;'><body>1</body></message>"
    )
    message = await alice.wait_for(lambda element: element.tag == MESSAGE)
    assert message.attrib == {
        "to": "alice@localhost/a",
        "from": "alice@localhost/a",
        "{http://www.w3.org/XML/1998/namespace}lang": "de",
        "{urn:x}y": "<'",
    }


async def test_an_iq_between_users(log_in: LogIn) -> None:
    alice = await log_in("alice", "a")
    bob = await log_in("bob", "b")
    await alice.connection.send(
        f"<iq xmlns='{CLIENT}' type='get' id='v' to='bob@localhost/b'><query xmlns='jabber:iq:version'/></iq>"
    )
    asked = await bob.wait_for(lambda element: element.get("id") == "v")
    assert asked.get("from") == "alice@localhost/a"
    await bob.connection.send(f"<iq xmlns='{CLIENT}' type='result' id='v' to='alice@localhost/a'/>")
    assert (await alice.wait_for(lambda element: element.get("id") == "v")).get("from") == "bob@localhost/b"


@pytest.mark.parametrize("to", ["", "localhost", "alice@localhost"])
async def test_what_the_server_answers(log_in: LogIn, to: str) -> None:
    alice = await log_in("alice")
    assert len(await alice.query("get", "<ping xmlns='urn:xmpp:ping'/>", to=to)) == 0
    assert len(await alice.query("set", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>", to=to)) == 0
    info = await alice.query("get", f"<query xmlns='{INFO}'/>", to=to)
    assert {each.get("var") for each in info.iter(f"{{{INFO}}}feature")} >= {INFO, ITEMS, "urn:xmpp:ping"}
    assert (await alice.query("get", f"<query xmlns='{ITEMS}'/>", to=to)).find(
        f"{{{ITEMS}}}query"
    ) is not None


@pytest.mark.parametrize(
    ("kind", "payload", "to", "wanted"),
    [
        ("get", "<query xmlns='jabber:iq:version'/>", "localhost", "service-unavailable"),
        ("set", "<query xmlns='jabber:iq:roster'/>", "", "service-unavailable"),
        ("get", "<ping xmlns='urn:xmpp:ping'/>", "bob@localhost", "service-unavailable"),
        ("get", "<ping xmlns='urn:xmpp:ping'/>", "bob@localhost/gone", "service-unavailable"),
        ("get", "", "localhost", "bad-request"),
        ("get", "<a xmlns='x'/><b xmlns='x'/>", "localhost", "bad-request"),
        ("strange", "<ping xmlns='urn:xmpp:ping'/>", "localhost", "service-unavailable"),
    ],
)
async def test_what_the_server_refuses(log_in: LogIn, kind: str, payload: str, to: str, wanted: str) -> None:
    alice = await log_in("alice")
    assert condition(await alice.ask(kind, payload, to=to)) == wanted


async def test_answers_to_the_server_are_swallowed(log_in: LogIn) -> None:
    alice = await log_in("alice")
    await alice.connection.send(f"<iq xmlns='{CLIENT}' type='result' id='r' to='localhost'/>")
    assert (await alice.ask("get", "<ping xmlns='urn:xmpp:ping'/>")).get("type") == "result"


async def test_a_resource_that_is_taken_goes_to_the_newcomer(log_in: LogIn) -> None:
    bob = await log_in("bob")
    older = await log_in("alice", "same")
    await presence_of(bob, "alice@localhost/same")
    newer = await log_in("alice", "same")
    error = await older.wait_for(lambda element: element.tag == f"{{{STREAMS}}}error")
    assert error[0].tag.endswith("}conflict")  # RFC 6120 7.7.2.2
    assert [(await presence_of(bob, "alice@localhost/same")).get("type") for _ in range(2)] == [
        "unavailable",
        None,
    ]
    await bob.send_message("alice@localhost/same", "to the newcomer")
    assert await newer.wait_for(lambda element: element.tag == MESSAGE)


async def test_stop_ends_every_stream() -> None:
    server = DemoServer()
    await server.stop()  # not started: nothing to do
    await server.start()
    async with Client(TcpConnection("localhost", server.port)) as alice:
        await alice.login("alice", server.accounts.password)
        await server.stop()
        error = await alice.wait_for(lambda element: element.tag == f"{{{STREAMS}}}error")
        assert error[0].tag.endswith("}system-shutdown")
        with pytest.raises(StreamEndedError):
            await alice.connection.receive()
    assert not server.streams


def test_the_banner_says_what_it_is() -> None:
    banner = DemoServer("example.org", password="secret").banner()
    assert "playground" in banner
    assert "not for real use" in banner
    assert "alice@example.org" in banner
    assert "secret" in banner


def test_a_password_is_made_up() -> None:
    assert DemoServer().accounts.password != DemoServer().accounts.password
