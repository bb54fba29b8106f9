"""Messages: with markup, to those who are offline, on every device, from the archive, and those that fail."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.flows.conftest import People
from tests.e2e.flows.web_user import Data
from tests.e2e.node import ClientFailedError
from tests.support.clients import CLIENT, message
from tests.support.servers import CHAT_DOMAIN
from tests.support.stanzas import canonical, is_message_from

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

DELAY = "urn:xmpp:delay"
XHTML = "http://www.w3.org/1999/xhtml"
XHTML_IM = "http://jabber.org/protocol/xhtml-im"
PING = "<ping xmlns='urn:xmpp:ping'/>"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"

EMOJI = "\U0001f469‍\U0001f680 & <friends>"


def is_recent(stamp: str) -> bool:
    """Tell whether *stamp* (XEP-0082) is of the last minute."""
    return abs(datetime.now(UTC) - datetime.fromisoformat(stamp)) < timedelta(minutes=1)


MARKUP: Data = {
    "name": "body",
    "attributes": {"xmlns": XHTML},
    "children": [
        {
            "name": "p",
            "attributes": {"style": "font-weight:bold"},
            "children": [
                "Ceci n’est pas ",
                {"name": "em", "attributes": {}, "children": [EMOJI]},
                {"name": "br", "attributes": {}, "children": []},
                {
                    "name": "a",
                    "attributes": {"href": "https://example.org/?a=1&b=%20"},
                    "children": ["«here»"],
                },
            ],
        }
    ],
}
"""In the JSON of StanzaJS, which lets through only what it knows to do no harm."""

MARKUP_XML = (
    f"<body xmlns='{XHTML}'><p style='font-weight:bold'>Ceci n’est pas <em>\U0001f469‍\U0001f680 &amp; "
    "&lt;friends></em><br/><a href='https://example.org/?a=1&amp;b=%20'>«here»</a></p></body>"
)


async def test_formatted_message_keeps_its_markup(people: People) -> None:
    """XEP-0071."""
    alice, bob = await people.web_user(), await people.tcp_user()
    await alice.call(
        "sendMessage", {"to": bob.jid, "type": "chat", "body": "plain", "html": {"body": MARKUP}}
    )
    received = await bob.wait_for(is_message_from(alice.jid))
    body = received.find(f"{{{XHTML_IM}}}html/{{{XHTML}}}body")
    assert body is not None
    assert canonical(body) == canonical(MARKUP_XML)

    await bob.connection.send(
        f"<message xmlns='{CLIENT}' to='{alice.jid}' type='chat'><body>plain</body>"
        f"<html xmlns='{XHTML_IM}'>{MARKUP_XML}</html></message>"
    )
    told = await alice.wait_for("message")
    assert (told["from"], told["body"]) == (bob.jid, "plain")
    assert told["html"]["body"] == MARKUP


async def test_messages_wait_for_those_who_are_offline(people: People) -> None:
    """XEP-0160, with the stamp of XEP-0203."""
    alice_jid, bob_jid = people.new_account(), people.new_account()
    texts = ["first \U0001f4ec", "second", "third"]

    bob = await people.tcp_user(bob_jid)
    for text in texts:
        await bob.send_message(alice_jid, text)
    await bob.query("get", PING, to=CHAT_DOMAIN)  # by now they are stored
    alice = await people.web_user(alice_jid)
    for text in texts:
        told = await alice.wait_for("message")
        assert (told["from"], told["body"]) == (bob.jid, text)
        assert is_recent(told["delay"]["timestamp"])

    await bob.connection.send(f"<presence xmlns='{CLIENT}' type='unavailable'/>")
    await bob.query("get", PING, to=CHAT_DOMAIN)  # by now he is offline
    await bob.connection.close()
    for text in texts:
        await alice.call("sendMessage", {"to": bob_jid, "type": "chat", "body": text})
    await alice.call("ping", CHAT_DOMAIN)
    bob = await people.tcp_user(bob_jid, presence=False)
    await bob.connection.send(f"<presence xmlns='{CLIENT}'/>")
    for text in texts:
        received = await bob.wait_for(is_message_from(alice.jid))
        assert received.findtext(f"{{{CLIENT}}}body") == text
        delay = received.find(f"{{{DELAY}}}delay")
        assert delay is not None
        assert is_recent(delay.get("stamp", ""))


async def test_every_device_of_a_user_sees_the_conversation(people: People) -> None:
    """XEP-0280."""
    jid = people.new_account()
    desk = await people.web_user(jid, resource="desk")
    pocket = await people.web_user(jid, resource="pocket", other_transport=True)
    bob = await people.tcp_user()
    for device in (desk, pocket):
        await device.call("enableCarbons")

    await bob.send_message(desk.jid, f"to the desk {EMOJI}", "b1")
    told = await desk.wait_for("message", lambda data: data.get("body"))
    carbon = (await pocket.wait_for("carbon:received"))["carbon"]["forward"]["message"]
    for data in (told, carbon):
        assert (data["from"], data["to"], data["id"], data["body"]) == (
            bob.jid,
            desk.jid,
            "b1",
            f"to the desk {EMOJI}",
        )

    await pocket.call(
        "sendMessage", {"to": bob.jid, "type": "chat", "id": "p1", "body": f"from afar {EMOJI}"}
    )
    received = await bob.wait_for(is_message_from(pocket.jid))
    assert (received.get("id"), received.findtext(f"{{{CLIENT}}}body")) == ("p1", f"from afar {EMOJI}")
    carbon = (await desk.wait_for("carbon:sent"))["carbon"]["forward"]["message"]
    assert (carbon["from"], carbon["to"], carbon["id"], carbon["body"]) == (
        pocket.jid,
        bob.jid,
        "p1",
        f"from afar {EMOJI}",
    )


async def test_user_reads_the_archive_page_by_page(people: People) -> None:
    """XEP-0313 with the pages of XEP-0059."""
    alice, bob = await people.web_user(), await people.tcp_user()
    texts = [f"line {number} {EMOJI}" for number in range(12)]
    for number, text in enumerate(texts):
        if number % 3:
            await bob.send_message(alice.jid, text)
            assert (await alice.wait_for("chat"))["body"] == text
        else:
            await alice.call("sendMessage", {"to": bob.jid, "type": "chat", "body": text})
            assert await bob.wait_for_message() == text

    async def page(**paging: object) -> Data:
        query = {"with": bob.bare_jid, "version": "2", "paging": {"max": 5, **paging}}
        answer: Data = await alice.call("searchHistory", query)
        return answer

    def read(answer: Data) -> list[str]:
        assert all(is_recent(item["item"]["delay"]["timestamp"]) for item in answer["results"])
        return [item["item"]["message"]["body"] for item in answer["results"]]

    first = await page()
    second = await page(after=first["paging"]["last"])
    third = await page(after=second["paging"]["last"])
    assert [read(answer) for answer in (first, second, third)] == [texts[:5], texts[5:10], texts[10:]]
    assert [answer.get("complete", False) for answer in (first, second, third)] == [False, False, True]
    last = await page(before="")
    assert read(last) == texts[-5:]
    ids = [item["id"] for item in last["results"]]
    assert (last["paging"]["first"], last["paging"]["last"]) == (ids[0], ids[-1])


@pytest.mark.rule("E16")
async def test_stanza_errors_come_back_and_the_session_goes_on(people: People) -> None:
    alice, bob = await people.web_user(), await people.tcp_user()
    nobody = f"{alice.bare_jid}/nobody"
    with pytest.raises(ClientFailedError) as failed:
        await alice.call("getDiscoInfo", nobody)
    straight = await bob.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", to=nobody)
    assert isinstance(failed.value.error, dict)
    error = straight.find(f"{{{CLIENT}}}error")
    assert error is not None
    assert failed.value.error["from"] == straight.get("from") == nobody
    assert failed.value.error["error"]["type"] == error.get("type")
    assert f"{{{STANZA_ERRORS}}}{failed.value.error['error']['condition']}" in [child.tag for child in error]

    # An error with a text and a condition of the application's own, from one client to the other.
    await alice.call("sendMessage", {"to": bob.jid, "type": "chat", "id": "e1", "body": "take this"})
    received = await bob.wait_for(is_message_from(alice.jid))
    await bob.connection.send(
        f"<message xmlns='{CLIENT}' type='error' to='{received.get('from')}' id='{received.get('id')}'>"
        f"<error type='wait'><resource-constraint xmlns='{STANZA_ERRORS}'/>"
        f"<text xmlns='{STANZA_ERRORS}' xml:lang='de'>später, bitte \U0001f634</text></error></message>"
    )
    told = await alice.wait_for("message:error")
    assert (told["from"], told["id"]) == (bob.jid, "e1")
    assert told["error"] | {"alternateLanguageText": None} == {
        "type": "wait",
        "condition": "resource-constraint",
        "text": "später, bitte \U0001f634",
        "alternateLanguageText": None,
    }

    await bob.connection.send(message(alice.jid, "all is well"))
    assert (await alice.wait_for("message", lambda data: data.get("body")))["body"] == "all is well"


@pytest.mark.rule("SM2", "SM4", "SM10", "WS23")
async def test_both_ends_count_the_same_stanzas(people: People) -> None:
    """StanzaJS asks after each stanza how many the server has counted, and answers the server's questions."""
    alice, bob = await people.web_user(), await people.tcp_user()
    texts = [f"{number} {EMOJI}" for number in range(30)]

    async def alice_talks() -> None:
        for text in texts:
            await alice.call("sendMessage", {"to": bob.jid, "type": "chat", "body": text})

    async def bob_talks() -> None:
        for text in texts:
            await bob.send_message(alice.jid, text)

    await asyncio.gather(alice_talks(), bob_talks())
    assert [await bob.wait_for_message() for _ in texts] == texts
    assert [(await alice.wait_for("chat"))["body"] for _ in texts] == texts

    sent = 1 + len(texts)  # the presence
    await alice.wait_for("stream:management:ack", lambda ack: ack["handled"] == sent)
    counts = await alice.counts()
    assert counts == {"handled": 1 + len(texts), "acknowledged": sent, "unacknowledged": 0}
