"""What is seen of XEP-0198: whether a stream can be resumed (SM5), and where, which is hidden (F10)."""

import pytest

from boshgate.namespaces import SM2, SM3
from boshgate.xmpp.resumption import enables_management, grants_resumption, hide_location
from tests.xmpp.infoset import element


@pytest.mark.rule("SM5")
@pytest.mark.parametrize("namespace", [SM2, SM3])
@pytest.mark.parametrize(
    ("data", "granted"),
    [
        ("<enabled xmlns='{sm}' id='1' resume='true'/>", True),
        ("<enabled xmlns='{sm}' id='1' resume='1'/>", True),
        ("<sm:enabled xmlns:sm='{sm}' resume='true'/>", True),
        ("<enabled xmlns='{sm}' id='1' resume='false'/>", False),
        ("<enabled xmlns='{sm}' id='1'/>", False),
        ("<enabled xmlns='{sm}' xmlns:x='u' x:resume='true'/>", False),
        ("<resumed xmlns='{sm}' h='1' previd='2'/>", True),
        ("<failed xmlns='{sm}' resume='true'/>", False),
        ("<enabled xmlns='u' resume='true'/>", False),
        (
            "<success xmlns='urn:xmpp:sasl:2'><bound xmlns='urn:xmpp:bind:0'>"
            "<enabled xmlns='{sm}' resume='true' id='1'/></bound></success>",
            True,
        ),
        ("<success xmlns='urn:xmpp:sasl:2'><resumed xmlns='{sm}' h='1'/></success>", True),
        ("<success xmlns='urn:xmpp:sasl:2'><enabled xmlns='{sm}'/></success>", False),
        ("<success xmlns='urn:xmpp:sasl:2'/>", False),
        ("<message xmlns='jabber:client'><resumed xmlns='{sm}'/></message>", False),
    ],
)
def test_resumption_is_granted_by_the_server(namespace: str, data: str, granted: bool) -> None:
    assert grants_resumption(element(data.format(sm=namespace).encode())) is granted


@pytest.mark.rule("SM4")
@pytest.mark.parametrize("namespace", [SM2, SM3])
@pytest.mark.parametrize(
    ("data", "enabled"),
    [
        ("<enabled xmlns='{sm}' id='1' resume='true'/>", True),
        ("<enabled xmlns='{sm}'/>", True),
        ("<resumed xmlns='{sm}' h='1' previd='2'/>", True),
        ("<failed xmlns='{sm}'/>", False),
        ("<success xmlns='urn:xmpp:sasl:2'><x><enabled xmlns='{sm}'/></x></success>", True),
        ("<success xmlns='urn:xmpp:sasl:2'/>", False),
        ("<message xmlns='jabber:client'><enabled xmlns='{sm}'/></message>", False),
    ],
)
def test_stanzas_are_counted_whether_or_not_there_is_resumption(
    namespace: str, data: str, enabled: bool
) -> None:
    assert enables_management(element(data.format(sm=namespace).encode())) is enabled


@pytest.mark.rule("F10")
@pytest.mark.parametrize("namespace", [SM2, SM3])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            "<enabled xmlns='{sm}' id='1' location='[2001:41D0:1:A49b::1]:9222' resume='true'/>",
            "<enabled xmlns='{sm}' id='1' resume='true'/>",
        ),
        ('<enabled\n  location = "a:1"\txmlns="{sm}" max=\'600\'/>', "<enabled\txmlns=\"{sm}\" max='600'/>"),
        (
            "<sm:enabled xmlns:sm='{sm}' location='&#97;>'></sm:enabled >",
            "<sm:enabled xmlns:sm='{sm}'></sm:enabled >",
        ),
        (
            "<success xmlns='urn:xmpp:sasl:2'><x location='a'/><bound xmlns='urn:xmpp:bind:0'>"
            "<enabled xmlns='{sm}' location='a:1' resume='true' id='1'/> location='b'</bound></success>",
            "<success xmlns='urn:xmpp:sasl:2'><x location='a'/><bound xmlns='urn:xmpp:bind:0'>"
            "<enabled xmlns='{sm}' resume='true' id='1'/> location='b'</bound></success>",
        ),
    ],
)
def test_where_to_resume_is_hidden(namespace: str, data: str, expected: str) -> None:
    whole = element(data.format(sm=namespace).encode())
    assert hide_location(whole) == (whole.name, expected.format(sm=namespace).encode())


@pytest.mark.rule("F10")
@pytest.mark.parametrize(
    "data",
    [
        "<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>",
        "<enabled xmlns='urn:xmpp:sm:3' id=' location=' xmlns:x='u' x:location='a' my.location='b'/>",
        "<resumed xmlns='urn:xmpp:sm:3' location='a'/>",
        "<enabled xmlns='u' location='a'/>",
        "<enabled xmlns='urn:xmpp:sm:3'><a location='b'/></enabled>",
        "<message xmlns='jabber:client'><enabled xmlns='urn:xmpp:sm:3' location='a'/></message>",
    ],
)
def test_all_else_stays_as_it_is(data: str) -> None:
    whole = element(data.encode())
    assert hide_location(whole) == whole
