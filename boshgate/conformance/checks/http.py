"""HTTP as XEP-0124 section 5 wants it: one POST, one document, whatever the headers and connections."""

import asyncio

from boshgate.conformance.bosh import PROMPT, expect_terminal
from boshgate.conformance.check import Fails, Section, Transport, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import XML_TYPE, Answer
from boshgate.conformance.xml import quoteattr
from boshgate.namespaces import HTTPBIND

section = Section("HTTP", Transport.BOSH, prefix="http")

UNKNOWN = f"<body xmlns='{HTTPBIND}' rid='1000' sid='no-such-session'/>"
"""The cheapest request that is answered with a <body/>."""


@section.must("H1 P3", "XEP-0124 5")
async def a_post_is_answered_with_one_body(kit: Kit) -> str:
    """A POST is answered with HTTP 200 and one <body/> document."""
    session = await kit.session()
    answer = session.created
    assert answer is not None, "open() has seen it"
    answer.wrapper  # noqa: B018  # fails the check where it is none
    return f"HTTP {answer.status}, <body/> with {len(answer.attributes)} attributes"


@section.should("H3", "XEP-0124 5")
async def responses_are_not_chunked(kit: Kit) -> str:
    """A response has a Content-Length and no chunked transfer coding."""
    session = await kit.session()
    answers = [session.created, await session.ask(attributes={"type": "terminate"})]
    for answer in answers:
        assert answer is not None, "open() has seen it"
        coding = answer.headers.get("transfer-encoding")
        expect(coding is None, f"Transfer-Encoding: {coding}")
        length = answer.headers.get("content-length")
        expect(length == str(len(answer.raw)), f"Content-Length: {length}, and {len(answer.raw)} bytes came")
    return f"Content-Length of {len(answers)} responses is right"


@section.must("H4", "XEP-0124 7.1")
async def the_default_content_type(kit: Kit) -> str:
    """Without 'content' in the creation request every response is "text/xml; charset=utf-8"."""
    session = await kit.session()
    later = await session.ask(attributes={"type": "terminate"})
    for what, answer in (("creation response", session.created), ("later response", later)):
        assert answer is not None, "open() has seen it"
        expect_type(answer, XML_TYPE, what)
    return XML_TYPE


@section.must("H4", "XEP-0124 7.1")
async def the_content_type_of_errors(kit: Kit) -> str:
    """An error for an unknown session has the default Content-Type too."""
    answer = await (await kit.http()).request(UNKNOWN)
    expect_type(answer, XML_TYPE, "the answer to an unknown sid")
    return XML_TYPE


def expect_type(answer: Answer, wanted: str, what: str) -> None:
    """The Content-Type is exactly the *wanted* one."""
    found = answer.headers.get("content-type")
    expect(found == wanted, f"Content-Type of the {what}: {found!r} instead of {wanted!r}")


@section.should("H5", "XEP-0124 5")
async def the_request_content_type_is_ignored(kit: Kit) -> str:
    """text/plain and a form's Content-Type are taken: the entity is XML in every case."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json", "nonsense"):
        await _creates(kit, {"Content-Type": content_type}, f"Content-Type: {content_type}")
    return "4 kinds were taken"


@section.should("H5", "XEP-0124 5")
async def the_request_content_type_may_be_absent(kit: Kit) -> str:
    """A request without Content-Type is served (libpurple sends none)."""
    return await _creates(kit, {"Content-Type": None}, "no Content-Type")


@section.should("H6", "XEP-0124 5")
async def unknown_request_headers_are_ignored(kit: Kit) -> str:
    """Headers that nobody knows change nothing."""
    return await _creates(
        kit, {"X-Nobody-Knows": "yes", "keep-alive": "true", "Cookie": "a=b"}, "unknown headers"
    )


@section.practice("H9", "clients: libpurple")
async def a_content_encoding_that_is_none_is_ignored(kit: Kit) -> str:
    """Content-Encoding: text/xml; charset=utf-8, as libpurple sends it, is no coding: the entity is plain."""
    return await _creates(
        kit, {"Content-Encoding": "text/xml; charset=utf-8"}, "libpurple's Content-Encoding"
    )


async def _creates(kit: Kit, headers: dict[str, str | None], what: str) -> str:
    session = await kit.bosh()
    answer = await session.ask("", creation(kit), headers=headers)
    if answer.body is None or answer.get("sid") is None:
        raise Fails(f"{what}: no session but {answer}")
    session.sid = answer.get("sid")
    return "a session was created"


def creation(kit: Kit, **attributes: str | None) -> dict[str, str | None]:
    """The attributes of an ordinary creation request."""
    usual = {"to": kit.domain, "wait": "20", "hold": "1", "ver": "1.11", "xmpp:version": "1.0"}
    return {**usual, **attributes}


@section.must("H2", "XEP-0124 5")
async def each_request_on_another_connection(kit: Kit) -> str:
    """A session does not depend on the TCP connection its requests come on."""
    session = await kit.session(wait="1")
    for number in (2, 3, 4):
        answer = await session.ask(headers={"Connection": "close"})
        expect(not answer.is_terminate, f"request {number} on connection {number}: {answer}")
    return "4 requests on 4 connections"


@section.must("H2 HC25", "XEP-0124 5")
async def http_1_0_without_host(kit: Kit) -> str:
    """An HTTP/1.0 client, with a new connection for each request and without Host, is served."""
    session = await kit.bosh()
    first = session.wrap("", {"rid": str(session.rid), **creation(kit)})
    answer = await _http_1_0(kit, first)
    sid = answer.get("sid")
    expect(sid, f"no session: {answer}")
    session.sid = sid
    end = session.wrap("", {"rid": str(session.rid + 1), "sid": sid, "type": "terminate"})
    answer = await _http_1_0(kit, end)
    session.ended = True
    expect(answer.is_terminate and answer.get("condition") is None, f"the second request: {answer}")
    return "created and ended over two HTTP/1.0 connections"


async def _http_1_0(kit: Kit, body: str) -> Answer:
    raw = await kit.raw()
    await raw.send(raw.head(len(body), "1.0") + body)
    answer = await raw.answer()
    expect("transfer-encoding" not in answer.headers, "a chunked response to HTTP/1.0")
    return answer


@section.practice("H2", "clients: xmpp4r, tclxmpp, tsung")
async def head_and_body_in_separate_packets(kit: Kit) -> str:
    """A request in three packets, its fields without a space after the colon, is one request."""
    raw = await kit.raw()
    head = raw.head(len(UNKNOWN)).replace(": ", ":")
    await raw.send(head, UNKNOWN[:20], UNKNOWN[20:])
    expect_terminal(await raw.answer(), "item-not-found", what="an unknown sid")
    return "answered"


@section.practice("H2", "RFC 9112 9.3")
async def connections_are_kept_alive(kit: Kit) -> str:
    """A connection serves more than one request."""
    raw = await kit.raw()
    for number in (1, 2):
        await raw.send(raw.head(len(UNKNOWN)) + UNKNOWN)
        try:
            await raw.answer()
        except Fails as failure:
            raise Fails(f"request {number} on one connection: {failure}") from None
    return "2 requests on one connection"


@section.should("H11", "XEP-0124 18.1")
async def pipelined_requests_never_deadlock(kit: Kit) -> str:
    """Two requests on one connection are both answered: the second perhaps when the first's wait is over."""
    session = await kit.session(wait="2")
    raw = await kit.raw()
    bodies = []
    for _ in range(2):
        session.rid += 1
        bodies.append(session.wrap("", {"rid": str(session.rid), "sid": session.sid}))
    await raw.send("".join(raw.head(len(body)) + body for body in bodies))
    began = asyncio.get_running_loop().time()
    for number in (1, 2):
        answer = await raw.answer()
        expect(not answer.is_terminate, f"request {number}: {answer}")
    return f"both were answered after {asyncio.get_running_loop().time() - began:.1f} s of 4 s"


@section.should("H10 E13", "XEP-0124 17.1")
async def errors_have_http_status_200(kit: Kit) -> str:
    """Errors are terminal conditions in a 200 response: another status is for clients that send no 'ver'."""
    session = await kit.bosh()
    wrong = session.wrap("", {"rid": "1", **creation(kit, wait="abc")})
    unknown = session.wrap("", {"rid": "1", **creation(kit, to="no-such-domain.invalid")})
    for what, body in (("an unknown sid", UNKNOWN), ("wait='abc'", wrong), ("an unknown domain", unknown)):
        answer = await session.http.request(body)
        expect(answer.status == 200, f"{what}: HTTP {answer.status}")
        answer.wrapper  # noqa: B018  # fails the check where it is none
    return "3 errors"


@section.practice("H13", "RFC 9110 9.3")
async def other_methods_are_answered_at_once(kit: Kit) -> str:
    """GET, HEAD, PUT and DELETE are answered, and not as a request of a session."""
    http = await kit.http()
    seen = []
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        try:
            answer = await http.request(method=method, patience=PROMPT * 2)
        except Fails as failure:
            raise Fails(f"{method}: {failure}") from None
        expect(answer.status < 500, f"{method}: HTTP {answer.status}")
        seen.append(f"{method} {answer.status}")
    return ", ".join(seen)


@section.practice("H14", "XEP-0252 (deferred)")
async def the_script_syntax_is_not_served(kit: Kit) -> str:
    """GET ?<body/> makes no session: its answer could be included by any page as a script."""
    text = f"<body rid='1' to={quoteattr(kit.domain)} xmlns='{HTTPBIND}' ver='1.6' wait='1' hold='1'/>"
    http = await kit.http()
    answer = await http.request(method="GET", url=f"{http.url}?{text.replace(' ', '%20')}")
    expect(b"sid=" not in answer.data, f"a GET makes a session: {answer}")
    return f"HTTP {answer.status}"


@section.practice("H15", "RFC 9111 5.2.2.5")
async def responses_are_not_cached(kit: Kit) -> str:
    """Responses say Cache-Control: no-store: an old one from a cache would be another's."""
    answer = await (await kit.http()).request(UNKNOWN)
    control = str(answer.headers.get("cache-control", ""))
    expect("no-store" in control or "no-cache" in control, f"Cache-Control: {control or 'absent'}")
    return f"Cache-Control: {control}"


@section.practice("H17", "WHATWG Fetch 3.6")
async def responses_are_not_sniffed(kit: Kit) -> str:
    """Responses say X-Content-Type-Options: nosniff, as the client may choose their Content-Type."""
    session = await kit.session(content="text/html; charset=utf-8")
    assert session.created is not None, "open() has seen it"
    found = str(session.created.headers.get("x-content-type-options", ""))
    expect(found.lower() == "nosniff", f"X-Content-Type-Options: {found or 'absent'}")
    return found


@section.must("H16 HC24", "RFC 9110 5.5")
async def content_cannot_split_the_response(kit: Kit) -> str:
    """A line break in 'content' never becomes a header of the response."""
    session = await kit.bosh()
    body = session.wrap("", {"rid": "1", **creation(kit)}).replace(
        " to=", " content='text/html&#13;&#10;X-Injected: yes' to=", 1
    )
    raw = await kit.raw()
    await raw.send(raw.head(len(body)) + body)
    answer = await raw.answer()
    session.sid = answer.body.get("sid") if answer.body is not None else None
    expect("x-injected" not in answer.headers, "the client's text became a header of the response")
    return f"refused: {answer}" if session.sid is None else f"ignored: {answer.headers.get('content-type')}"


@section.practice("H18", "RFC 9110 15.5.14")
async def a_huge_request_is_refused_early(kit: Kit) -> str:
    """A request that announces 1 GB is refused before it is read."""
    raw = await kit.raw()
    await raw.send(raw.head(1_000_000_000) + "<body")
    try:
        answer = await raw.answer(PROMPT * 2)
    except Fails as failure:
        if "closed" in str(failure):
            return "the connection was closed"
        raise Fails(f"1 GB is waited for: {failure}") from None
    expect(answer.status != 200 or answer.is_terminate, f"{answer}")
    return f"HTTP {answer.status}"
