"""What is answered for a client that is gone, and what is not (XEP-0206 section 7, RFC 6120 section 8.3)."""

import pytest

from boshgate.xmpp.undelivered import MAX_COPIED, error_for
from boshgate.xmpp.xml import Element, parse_document
from tests.xmpp.infoset import element

CLIENT = "{jabber:client}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
NS = "xmlns='jabber:client'"


def answer(stanza: str) -> bytes | None:
    """What goes back for *stanza*."""
    return error_for(element(stanza.encode()))


def attributes(stanza: str) -> dict[str, str]:
    """The attributes of what goes back for *stanza*."""
    data = answer(stanza)
    assert data is not None
    return dict(parse_document(data).attrib)


@pytest.mark.rule("B11")
@pytest.mark.parametrize(
    "kind", ["", " type='chat'", " type='normal'", " type='groupchat'", " type='headline'"]
)
def test_message_goes_back_with_recipient_unavailable(kind: str) -> None:
    data = answer(f"<message {NS} from='a@x/1' to='b@y/2' id='m1'{kind}><body>hi</body></message>")
    assert (
        data
        == (
            f"<message {NS} from='b@y/2' to='a@x/1' type='error' id='m1'><body>hi</body><error type='wait'>"
            "<recipient-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
        ).encode()
    )


@pytest.mark.rule("B11")
@pytest.mark.parametrize("kind", ["get", "set"])
def test_request_gets_service_unavailable(kind: str) -> None:
    data = answer(f"<iq {NS} type='{kind}' from='a@x/1' to='b@y/2' id='q1'><query xmlns='u'/></iq>")
    assert (
        data
        == (
            f"<iq {NS} from='b@y/2' to='a@x/1' type='error' id='q1'><error type='cancel'>"
            "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ).encode()
    )


@pytest.mark.rule("B11")
@pytest.mark.parametrize(
    "stanza",
    [
        f"<presence {NS} from='a@x/1'/>",
        f"<presence {NS} from='a@x/1' type='subscribe' id='p1'/>",
        f"<message {NS} from='a@x/1' type='error' id='m1'><error/></message>",
        f"<message {NS} from='a@x/1' type='&#101;rror'/>",
        f"<iq {NS} from='a@x/1' type='result' id='q1'/>",
        f"<iq {NS} from='a@x/1' type='error' id='q1'/>",
        f"<iq {NS} from='a@x/1' id='q1'/>",
        f"<iq {NS} from='a@x/1' type='other' id='q1'/>",
        "<message xmlns='urn:other' from='a@x/1'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ],
)
def test_nothing_else_is_answered(stanza: str) -> None:
    assert answer(stanza) is None


def test_stanza_from_the_server_itself_goes_back_to_nobody() -> None:
    assert attributes(f"<iq {NS} type='set' to='b@y/2' id='push'/>") == {
        "from": "b@y/2",
        "type": "error",
        "id": "push",
    }
    assert attributes(f"<iq {NS} type='get' id='q'/>") == {"type": "error", "id": "q"}


def test_id_is_the_same_or_empty_where_there_has_to_be_one() -> None:
    assert "id" not in attributes(f"<message {NS} from='a@x'/>")
    assert attributes(f"<iq {NS} type='get' from='a@x'/>")["id"] == ""
    assert attributes(f"<message {NS} id='&lt;&apos;&#10;&gt;'/>")["id"] == "<'\n>"


def test_content_keeps_the_namespaces_it_was_written_with() -> None:
    data = answer(
        f"<message {NS} xmlns:x='urn:x' xml:lang='de' from='a@x' z=\" xmlns:y='urn:y'\"><x:e/></message>"
    )
    assert data is not None
    tree = parse_document(data)
    assert [child.tag for child in tree] == ["{urn:x}e", f"{CLIENT}error"]
    assert set(tree.attrib) == {"to", "type"}


def test_stanza_with_a_prefix_gets_an_error_with_the_same() -> None:
    data = answer("<c:message xmlns:c='jabber:client' from='a@x'><c:body>hi</c:body></c:message>")
    assert data is not None
    tree = parse_document(data)
    assert tree.tag == f"{CLIENT}message"
    assert [child.tag for child in tree] == [f"{CLIENT}body", f"{CLIENT}error"]
    assert tree[1][0].tag == f"{STANZAS}recipient-unavailable"


@pytest.mark.parametrize(("size", "copied"), [(MAX_COPIED, True), (MAX_COPIED + 1, False)])
def test_content_that_is_long_does_not_go_back(size: int, copied: bool) -> None:
    head = f"<message {NS} from='a@x'>"
    text = "<body>" + "x" * (size - 13) + "</body>"
    data = error_for(Element(f"{CLIENT}message", f"{head}{text}</message>".encode()))
    assert data is not None
    assert (text.encode() in data) is copied
