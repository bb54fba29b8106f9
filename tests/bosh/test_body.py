"""The wrapper: what is a request, how payloads are cut out of it, and how responses are written (W1-W15)."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boshgate.bosh.body import EMPTY, RID_MAX, Body, parse_body, serialise_body, terminal_body
from boshgate.errors import BindingError
from boshgate.namespaces import CLIENT, HTTPBIND, STREAMS, XBOSH, XML
from boshgate.xmpp.xml import Element

HB = f"xmlns='{HTTPBIND}'"
JC = f"xmlns='{CLIENT}'"


def parse(xml: str | bytes, max_payloads: int = 100, max_stanza_bytes: int = 1 << 20) -> Body:
    """The request that *xml* is."""
    data = xml if isinstance(xml, bytes) else xml.encode()
    return parse_body(data, max_payloads=max_payloads, max_stanza_bytes=max_stanza_bytes)


def payloads(inner: str, declarations: str = HB) -> list[tuple[str, str]]:
    """Name and bytes of the payloads of a body with *inner* inside."""
    body = parse(f"<body rid='1' sid='S' {declarations}>{inner}</body>")
    return [(payload.name, payload.data.decode()) for payload in body.payloads]


def in_stream(data: str) -> ElementTree.Element:
    """What the server makes of *data*."""
    stream = f"<stream:stream {JC} xmlns:stream='{STREAMS}'>{data}</stream:stream>"
    return ElementTree.fromstring(stream)[0]


def condition(xml: str | bytes, max_payloads: int = 100, max_stanza_bytes: int = 1 << 20) -> str:
    """The condition with which *xml* is refused."""
    with pytest.raises(BindingError) as refused:
        parse(xml, max_payloads, max_stanza_bytes)
    return refused.value.condition


# 6: the wrapper


@pytest.mark.rule("W1", "W3")
@pytest.mark.parametrize(
    "xml",
    [
        f"<body rid='1' {HB}/>",
        f'<body rid="1" {HB}></body>',
        f"<body rid='1' {HB}>  \r\n\t </body>\n",
        f"<b:body rid='1' xmlns:b='{HTTPBIND}'/>",
        f"<?xml version='1.0' encoding='utf-8'?>\n<body rid='1' {HB}/>",
        f"\ufeff<body rid='1' {HB}/>",
        f"<body rid='1' {HB}><![CDATA[ ]]></body>",
        f"<body\n  rid = '1'\n  {HB} />",
    ],
)
def test_any_way_to_write_an_empty_body_is_one(xml: str) -> None:
    body = parse(xml)
    assert (body.rid, body.sid, body.payloads) == (1, None, ())


@pytest.mark.rule("W1", "W2", "W3", "H19", "E1")
@pytest.mark.parametrize(
    "xml",
    [
        "",
        "nonsense",
        "<body rid='1'/>",
        "<body rid='1' xmlns='jabber:client'/>",
        f"<html rid='1' {HB}/>",
        f"<body rid='1' {HB}>",
        f"<body rid='1' {HB}/><body rid='1' {HB}/>",
        f"<body rid='1' {HB}><message></body>",
        f"<body rid='1' {HB}>text</body>",
        f"<body rid='1' {HB}>text<message {JC}/></body>",
        f"<body rid='1' {HB}><message {JC}/>text</body>",
        f"<body rid='1' {HB}><message {JC}/>text<message {JC}/></body>",
        f"<body rid='1' {HB}>&#65;<message {JC}/></body>",
        f"<body rid='1' {HB}>\u00a0</body>",  # white space for Python, not for XML
        f"<body rid='1' {HB}><![CDATA[text]]><message {JC}/></body>",
        f"<body rid='1' {HB}><message {JC}/>&#65;</body>",
        f"<body rid='1' {HB}><!-- comment --></body>",
        f"<body rid='1' {HB}><message {JC}><!-- comment --></message></body>",
        f"<body rid='1' {HB}><?target data?></body>",
        f"<!DOCTYPE body><body rid='1' {HB}/>",
        f"<!DOCTYPE body [<!ENTITY a 'b'>]><body rid='1' {HB}>&a;</body>",
        f"<!DOCTYPE body SYSTEM 'file:///etc/passwd'><body rid='1' {HB}/>",
        f"<body rid='1' {HB}>&undefined;</body>",
        f"<body rid='1' {HB}><a:message/></body>",
        f"<body rid='1' {HB} rid='2'/>",
        f"<body rid='1' {HB}><message {JC}>]]></message></body>",
        f"<?xml version='1.0' encoding='ISO-8859-1'?><body rid='1' {HB}/>",
        f"<body rid='1' {HB}>\x00</body>",
        f"<body rid='1' {HB} a='\xfc'/>".encode("latin-1"),
        f"<body rid='1' {HB}/>".encode("utf-16"),
        f"<body rid='1' {HB}/>".encode("utf-16-le"),
        f"<body rid='1' {HB}/>".encode("utf-16-be"),
    ],
)
def test_what_is_no_body_is_bad_request(xml: str | bytes) -> None:
    assert condition(xml) == "bad-request"


@pytest.mark.rule("W5")
@pytest.mark.parametrize(
    "rid",
    ["1", "7", "1573741820", "0001", str(RID_MAX)],
)
def test_rid_is_a_positive_integer(rid: str) -> None:
    assert parse(f"<body rid='{rid}' {HB}/>").rid == int(rid)


@pytest.mark.rule("W5", "HC24e", "R11")
@pytest.mark.parametrize(
    "rid",
    ["", "0", "-1", "+1", " 1", "1 ", "1.0", "1e9", "0x1", "1_000", "١٢٣", "²", str(RID_MAX + 1), "9" * 17,
     "1" * 5000],
)  # fmt: skip
def test_anything_else_is_bad_request(rid: str) -> None:  # attack S22
    assert condition(f"<body rid='{rid}' {HB}/>") == "bad-request"
    assert condition(f"<body {HB}/>") == "bad-request"


@pytest.mark.rule("W15")
def test_attributes_are_known_by_their_expanded_names() -> None:
    body = parse(
        f"<body rid='1' sid='' to='a&amp;b' x='1&#10;2' xml:lang='en' q:restart='true' z:y='z' {HB} "
        f"xmlns:q='{XBOSH}' xmlns:z='urn:z'/>"
    )
    assert dict(body.attributes) == {
        "rid": "1",
        "sid": "",
        "to": "a&b",
        "x": "1\n2",
        f"{{{XML}}}lang": "en",
        f"{{{XBOSH}}}restart": "true",
        "{urn:z}y": "z",
    }
    assert body.sid == ""
    assert (body.to, body.from_, body.lang) == ("a&b", None, "en")
    assert body.is_restart
    assert not body.is_terminate


@pytest.mark.rule("R9")
def test_digest_tells_an_exact_copy_from_anything_else() -> None:
    xml = f"<body rid='1' {HB}><message {JC}/></body>"
    assert parse(xml).digest == parse(xml).digest
    assert parse(xml).digest != parse(xml.replace("'1'", '"1"')).digest


@pytest.mark.rule("W13")
def test_limits_are_policy_violations() -> None:
    stanza = f"<message {JC}/>"
    assert len(parse(f"<body rid='1' {HB}>{stanza * 3}</body>", 3).payloads) == 3
    assert parse(f"<body rid='1' {HB}>{stanza * 3}</body>", 3).excess is None
    assert parse(f"<body rid='1' {HB}>{stanza * 4}</body>", 3).excess == "more than 3 payloads"
    deep = "<a>" * 200 + "</a>" * 200
    assert condition(f"<body rid='1' {HB}><message {JC}>{deep}</message></body>") == "policy-violation"
    wide = "".join(f" a{number}=''" for number in range(200))
    assert condition(f"<body rid='1' {HB}{wide}/>") == "policy-violation"
    many = f"<body rid='1' {HB}><message {JC}>{'<a/>' * 9_000}</message></body>"
    assert len(parse(many).payloads) == 1


@pytest.mark.rule("F9", "W13")
def test_each_payload_is_limited_and_not_what_is_around_it() -> None:
    stanza = f"<message {JC}><body>{'x' * 1000}</body></message>"
    xml = f"<body rid='1' {HB}>{stanza * 2}</body>"
    limit = len(stanza)
    assert parse(xml, max_stanza_bytes=limit).excess is None
    assert parse(xml, max_stanza_bytes=limit - 1).excess == f"a payload of more than {limit - 1} bytes"


@pytest.mark.rule("W13")
def test_declarations_of_the_wrapper_are_limited_where_each_payload_would_get_them() -> None:
    def xml(length: int, payload: str = "<a p:b=''/>") -> str:
        return f"<body rid='1' {HB} xmlns:p='{'u' * length}'>{payload * 3}</body>"

    assert len(parse(xml(900)).payloads) == 3
    assert condition(xml(2_000)) == "policy-violation"
    assert parse(xml(2_000, "")).payloads == (), "nobody gets them"


# Payloads


def test_single_payload_is_the_bytes_that_came() -> None:
    text = "<body>\U0001f600 &lt; ]]&gt; &#13;</body><x xmlns='urn:x' a='1&#10;2'/>"
    stanza = f"<message to='a&amp;b' {JC}>{text}</message>"
    assert payloads(stanza) == [(f"{{{CLIENT}}}message", stanza)]
    assert payloads(f"\n  {stanza}\n") == [(f"{{{CLIENT}}}message", stanza)]


@pytest.mark.rule("W4")
@pytest.mark.parametrize(
    ("inner", "names"),
    [
        ("<r xmlns='urn:xmpp:sm:3'/>", ["{urn:xmpp:sm:3}r"]),
        ("<a xmlns='urn:a'></a >", ["{urn:a}a"]),
        ("<a xmlns='urn:a'><a/></a>", ["{urn:a}a"]),
        ("<a xmlns='urn:a'/><a xmlns='urn:a'/>", ["{urn:a}a"] * 2),
        ("<a xmlns='urn:a'></a><b xmlns='urn:b'></b>", ["{urn:a}a", "{urn:b}b"]),
        ("<a xmlns='urn:a'></a><aa xmlns='urn:b'></aa>", ["{urn:a}a", "{urn:b}aa"]),
        ("<a xmlns='urn:a'/><b xmlns='urn:b'><a/></b>", ["{urn:a}a", "{urn:b}b"]),
        ("<a xmlns='urn:a'><![CDATA[</a>]]></a>", ["{urn:a}a"]),
        ("<a:a xmlns:a='urn:a'/>", ["{urn:a}a"]),
        ("<a:a xmlns:a='urn:a'></a:a>", ["{urn:a}a"]),
        ("<a xmlns=''/>", ["a"]),
        ("<ü xmlns='urn:ü'/>", ["{urn:ü}ü"]),
        ("<a xmlns='urn:a' b='/>'></a>", ["{urn:a}a"]),
        ("<a b=\"xmlns='urn:b'\" xmlns='urn:a&amp;b'/>", ["{urn:a&b}a"]),
    ],
)
def test_payloads_are_found_however_they_are_written(inner: str, names: list[str]) -> None:
    found = payloads(inner)
    assert [name for name, _ in found] == names
    for name, data in found:
        assert in_stream(data).tag == name


@pytest.mark.rule("W9", "HC16")
def test_stanzas_of_the_wrapper_namespace_mean_jabber_client() -> None:  # quirk 13
    ((name, data),) = payloads("<message to='a@b'><body>hi</body><x xmlns='urn:x'><body/></x></message>")
    assert name == f"{{{CLIENT}}}message"
    stanza = in_stream(data)
    assert [child.tag for child in stanza.iter()] == [
        f"{{{CLIENT}}}message", f"{{{CLIENT}}}body", "{urn:x}x", "{urn:x}body",
    ]  # fmt: skip


@pytest.mark.rule("W9")
def test_stanzas_that_say_they_are_of_the_wrapper_namespace_mean_it_too() -> None:
    ((name, data),) = payloads(
        f'<message {HB}><body a="{HTTPBIND}">{HTTPBIND}</body><x:y xmlns:x="{HTTPBIND}"/></message>'
    )
    assert name == f"{{{CLIENT}}}message"
    stanza = in_stream(data)
    assert [child.tag for child in stanza.iter()] == [
        f"{{{CLIENT}}}message", f"{{{CLIENT}}}body", f"{{{CLIENT}}}y",
    ]  # fmt: skip
    assert stanza[0].text == stanza[0].get("a") == HTTPBIND


@pytest.mark.rule("W1", "W9")
def test_wrapper_with_a_prefix_has_children_that_use_it() -> None:
    body = parse(f"<b:body rid='1' xmlns:b='{HTTPBIND}' {JC}><message><body/></message><b:iq/></b:body>")
    assert [payload.name for payload in body.payloads] == [f"{{{CLIENT}}}message", f"{{{CLIENT}}}iq"]
    for payload in body.payloads:
        assert in_stream(payload.data.decode()).tag == payload.name


@pytest.mark.rule("W10", "HC16")
def test_prefixes_of_the_wrapper_are_declared_again() -> None:
    ((_, data),) = payloads(
        "<message to='a@b'><x:e a='1&#10;2'/></message>", f"{HB} xmlns:x='urn:x' xmlns:y='urn:y'"
    )
    stanza = in_stream(data)
    assert stanza[0].tag == "{urn:x}e"
    assert stanza[0].get("a") == "1\n2"


@pytest.mark.rule("B14")
def test_nested_body_is_refused() -> None:
    assert condition(f"<body rid='1' {HB}><body/></body>") == "bad-request"
    assert condition(f"<body rid='1' {HB}><body {HB}/></body>") == "bad-request"
    assert condition(f"<body rid='1' {HB}><message {HB}><![CDATA[<]]></message></body>") == "bad-request"


@pytest.mark.rule("W9")
def test_other_elements_of_the_wrapper_namespace_are_mapped_by_inheritance_only() -> None:
    assert payloads("<foo/>")[0][0] == f"{{{CLIENT}}}foo"
    assert condition(f"<body rid='1' {HB}><foo {HB}/></body>") == "bad-request"


@pytest.mark.rule("W12")
def test_payloads_are_cut_out_behind_an_xml_declaration() -> None:
    body = parse(f"<?xml version='1.0'?><body rid='1' {HB}><iq/><iq/></body>")
    assert [payload.name for payload in body.payloads] == [f"{{{CLIENT}}}iq"] * 2


def test_numbers() -> None:
    body = parse(f"<body rid='1' pause='60' wait='x' {HB}/>")
    assert body.number("pause", 65535) == 60
    assert body.number("hold", 255) is None
    with pytest.raises(BindingError):
        body.number("pause", 59)
    with pytest.raises(BindingError):
        body.number("wait", 255)


def test_repr_tells_no_content() -> None:
    assert (
        repr(parse(f"<body rid='1' {HB}><auth xmlns='urn:a'>secret</auth></body>"))
        == "<Body rid=1 1 payloads>"
    )


names = st.sampled_from(["a", "b", "message", "body", "ü"])
texts = st.text("ab&<>'\"] \t:=/xü\U0001f600", max_size=6)
prefixes = st.sampled_from(["", "p:", "x:"])
declarations = st.lists(
    st.sampled_from([f" {JC}", " xmlns='urn:a'", f" {HB}", " xmlns:p='urn:p2'", ""]), max_size=1
).map("".join)


@st.composite
def elements(draw: st.DrawFn, depth: int = 2) -> str:
    """An element that is well-formed inside the wrapper, as XML text."""
    name = draw(prefixes) + draw(names)
    attribute = draw(texts).replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
    text = draw(texts).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    children = "".join(draw(st.lists(elements(depth=depth - 1), max_size=2))) if depth else ""
    start = f"{name}{draw(declarations)} a='{attribute}'"
    cdata = draw(st.sampled_from(["", "<![CDATA[</a> <b>]]>", "<![CDATA[]]>"])) if depth else ""
    return f"<{start}>{text}{children}{cdata}</{name}>" if text or children or cdata else f"<{start}/>"


def meant(node: ElementTree.Element) -> object:
    """What *node* says, with httpbind taken for jabber:client."""
    tag = node.tag.replace(f"{{{HTTPBIND}}}", f"{{{CLIENT}}}")
    return tag, sorted(node.items()), node.text or "", [(meant(child), child.tail or "") for child in node]


@pytest.mark.rule("W11")
@given(st.lists(elements(), max_size=3), st.sampled_from(["", " xmlns:q='urn:q'"]))
def test_what_the_server_parses_is_what_the_client_wrote(
    written: list[str], extra: str
) -> None:  # attack S20
    body = f"<body rid='1' {HB} xmlns:p='urn:p' xmlns:x='urn:x'{extra}>{''.join(written)}</body>"
    if "xmlns:p=" not in "".join(written) and "p:" not in "".join(written) and "x:" not in "".join(written):
        body = body.replace(" xmlns:p='urn:p' xmlns:x='urn:x'", "")  # the plain wrapper
    tree = ElementTree.fromstring(body)
    try:
        found = parse(body).payloads
    except BindingError:
        # Explicitly of the httpbind namespace, and no stanza or not plain: B14.
        assert HTTPBIND in "".join(written) or "<body" in body[5:]
        return
    assert [payload.name for payload in found] == [
        child.tag.replace(f"{{{HTTPBIND}}}", f"{{{CLIENT}}}") for child in tree
    ]
    assert [meant(in_stream(payload.data.decode())) for payload in found] == [meant(child) for child in tree]


FRAGMENTS = [
    f"<body rid='1' {HB}>", "</body>", f"<message {JC}>", "</message>", "<message>", "<x:y/>", "<![CDATA[",
    "]]>", "&amp;", "&#10;", "&x;", "<!--", "-->", "<?a?>", "<!DOCTYPE a>", " ", "\n", "text", "'", '"', "<",
    ">", "/>", "\0", "\ufeff", "\U0001f600", " xmlns=''", " xmlns:x='urn:x'", "<?xml version='1.0'?>",
    "</b:body>", f"<b:body rid='1' xmlns:b='{HTTPBIND}'>",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.binary(max_size=40))
def test_any_bytes_are_a_request_or_a_refusal(data: str | bytes) -> None:  # attack S26
    try:
        refused = parse(data).rid != 1
    except BindingError as error:
        refused = error.condition not in ("bad-request", "policy-violation")
    assert not refused


# Responses


def test_empty_response_is_the_example_of_section_8() -> None:
    assert serialise_body({}, ()) == EMPTY == f"<body {HB}/>".encode()


def test_response_is_its_payloads_in_the_wrapper() -> None:
    first, second = Element("{urn:a}a", b"<a xmlns='urn:a'/>"), Element("{urn:b}b", b"<b xmlns='urn:b'/>")
    expected = f"<body {HB}><a xmlns='urn:a'/><b xmlns='urn:b'/></body>".encode()
    assert serialise_body({}, (first, second)) == expected


@pytest.mark.rule("W7", "S11")
def test_prefixes_are_declared_where_they_are_used() -> None:
    features = Element(f"{{{STREAMS}}}features", b"<stream:features/>")
    assert serialise_body({}, [features]) == (
        f"<body {HB} xmlns:stream='{STREAMS}'><stream:features/></body>".encode()
    )
    assert serialise_body({f"{{{XBOSH}}}version": "1.0"}, ()) == (
        f"<body {HB} xmpp:version='1.0' xmlns:xmpp='{XBOSH}'/>".encode()
    )


def test_attributes_of_a_response_are_escaped() -> None:
    body = serialise_body({"from": "<&'\"\n>"}, ())
    assert ElementTree.fromstring(body).get("from") == "<&'\"\n>"


def test_terminal_body_may_bring_payloads() -> None:
    payload = Element("{urn:a}a", b"<a xmlns='urn:a'/>")
    assert terminal_body(None, [payload]) == f"<body {HB} type='terminate'><a xmlns='urn:a'/></body>".encode()
    assert (
        terminal_body("see-other-uri") == f"<body {HB} type='terminate' condition='see-other-uri'/>".encode()
    )
