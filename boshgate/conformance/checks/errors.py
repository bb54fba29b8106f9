"""Errors: XEP-0124 section 17, XEP-0206 section 6."""

import asyncio
import secrets

from boshgate.conformance.bosh import PROMPT, STREAM_ERROR, Bosh, expect_terminal
from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect
from boshgate.conformance.checks.http import UNKNOWN
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import condition_of, iq, message, named, ping, stream_condition, tag, written
from boshgate.namespaces import HTTPBIND, SASL, STREAMS

section = Section("Errors", Transport.BOSH, prefix="errors")


@section.must("E6 E17 HC14", "XEP-0124 17.2")
async def others_get_other_request(kit: Kit) -> str:
    """When one request ends the session, the others that wait are told other-request, none is left open."""
    session = await kit.session()
    await session.features()
    held = await kit.hold(session)
    fault = session.send(rid=session.rid + 50)
    answer = await fault.answer(PROMPT, "the request at fault")
    other = await held.answer(PROMPT, "the held request")
    session.ended = True
    expect_terminal(answer, "item-not-found", what="the request at fault")
    expect_terminal(other, "other-request", what="the held request")
    return "other-request"


@section.must("E4", "XEP-0124 17.2")
async def nothing_is_an_internal_error(kit: Kit) -> str:
    """Whatever a request says, the answer is no internal error and no HTTP 5xx."""
    http = await kit.http()
    odd = (
        f"<body xmlns='{HTTPBIND}' rid='5' sid='&#x10FFFF;&lt;'/>",
        f"<body xmlns='{HTTPBIND}' rid='5' sid='{'a' * 5000}'/>",
        f"<body xmlns='{HTTPBIND}' rid='5' sid='../../etc/passwd'/>",
        f"<body xmlns='{HTTPBIND}' rid='5' to='&#9;&#10;'/>",
        f"<body xmlns='{HTTPBIND}' rid='5' to='{'x.' * 600}'/>",
        f"<body xmlns='{HTTPBIND}' rid='5' type='nonsense' condition='nonsense'/>",
        f"<body xmlns='{HTTPBIND}' rid='5'>{'<a>' * 500}{'</a>' * 500}</body>",
    )
    for text in odd:
        answer = await http.request(text)
        request = text.replace(f" xmlns='{HTTPBIND}'", "")[:60]
        expect(answer.status < 500, f"{request}: HTTP {answer.status}")
        condition = answer.body.get("condition") if answer.body is not None else None
        expect(condition != "internal-server-error", f"{request}: {condition}")
    return f"{len(odd)} odd requests"


@section.must("E16 B13", "XEP-0124 17.4", login=True)
async def a_failed_login_may_be_tried_again(kit: Kit) -> str:
    """A SASL <failure/> is passed on and does not end the session (RFC 6120 section 6.4.5)."""
    session = await kit.session()
    await session.features()
    failure = await session.exchange(
        f"<auth xmlns='{SASL}' mechanism='NO-SUCH-MECHANISM'>AAAA</auth>",
        lambda element: tag(element).startswith(f"{{{SASL}}}"),
        "<failure/>",
    )
    expect(tag(failure) == f"{{{SASL}}}failure", f"{written(failure)}")
    if session.ended:
        raise NotOffered(f"the server ends the stream after a failed login: {written(failure)}")
    await kit.log_in(session)
    return "failed, then logged in"


@section.must("E16", "XEP-0124 17.4", login=True)
async def stanza_errors_are_passed_on(kit: Kit) -> str:
    """An error stanza is like any other, and the session goes on."""
    session = await kit.login()
    question = iq("get", "err", "<query xmlns='urn:example:nobody-knows'/>", kit.domain)
    error = await session.exchange(question, named("err"), "the error")
    expect(error.get("type") == "error", f"{written(error)}")
    await session.exchange(ping("after", kit.domain), named("after"), "the answer to a ping")
    return str(condition_of(error))


async def _conflict(kit: Kit, *, held: bool) -> tuple[Bosh, Answer]:
    """A stream error of the server, as another session takes the resource: the session, its last response."""
    session = await kit.session()
    await kit.log_in(session, f"conformance-{secrets.token_hex(4)}")
    await kit.echo(session)
    waiting = session.send() if held else None
    await session.settle()
    other = await kit.session()
    await kit.log_in(other, session.jid.partition("/")[2])
    if other.jid != session.jid:
        raise NotOffered("the server does not let another session take a resource")
    await asyncio.sleep(max(0.5, kit.settle * 2))
    if waiting is None:
        return session, await session.ask(within=PROMPT)
    if await waiting.is_held(PROMPT):
        raise Fails("the held request is not answered when the server ends the stream")
    return session, session.note(await waiting.answer())


@section.should("E9 HC13", "XEP-0206 6, XEP-0124 17.2", login=True)
async def a_stream_error_is_passed_on(kit: Kit) -> str:
    """A stream error of the server ends the session as remote-stream-error, with a copy of the error."""
    _, answer = await _conflict(kit, held=True)
    expect_terminal(answer, "remote-stream-error", what="the held request")
    errors = [element for element in answer.payloads if tag(element) == STREAM_ERROR]
    expect(len(errors) == 1, f"{len(errors)} copies of the error: {answer}")
    return str(stream_condition(errors[0]))


@section.must("E9 W7", "XEP-0206 2", login=True)
async def a_stream_error_comes_with_its_namespace(kit: Kit) -> str:
    """A body with a <stream:error/> declares xmlns:stream on the <body/> itself."""
    _, answer = await _conflict(kit, held=True)
    if not any(tag(element) == STREAM_ERROR for element in answer.payloads):
        raise Fails(f"no <stream:error/> but {answer}")
    found = answer.wrapper.nsmap.get("stream")
    expect(found == STREAMS, f"xmlns:stream of the <body/>: {found or 'absent'}")
    return "declared"


@section.should("T6 E9 HC13", "XEP-0124 17.2", login=True)
async def a_stream_error_waits_for_the_next_request(kit: Kit) -> str:
    """Where nobody was waiting the next request is told of the stream error, the one after item-not-found."""
    session, answer = await _conflict(kit, held=False)
    expect_terminal(answer, "remote-stream-error", what="the next request")
    await session.expect_gone("the one after")
    return "told once"


@section.should("E9", "XEP-0124 17.2")
async def a_stanza_before_the_login_ends_well(kit: Kit) -> str:
    """A stanza before the login is the server's to refuse: the session goes on, or ends with a condition."""
    session = await kit.session(wait="2")
    await session.features()
    answer = await session.ask(message(kit.domain, "early"))
    if not answer.is_terminate:
        return "the session goes on"
    condition = answer.get("condition")
    expect(
        condition in ("remote-stream-error", "policy-violation", "remote-connection-failed", None),
        f"{answer}",
    )
    if condition == "remote-stream-error":
        expect(any(tag(each) == STREAM_ERROR for each in answer.payloads), f"no copy of the error: {answer}")
    return str(condition)


@section.must("E1 E14", "XEP-0124 17.1")
async def a_modern_session_is_never_ended_by_status(kit: Kit) -> str:
    """In a session with 'ver' a fatal error is a <body/> with HTTP status 200."""
    session = await kit.session()
    answer = await session.send(rid=session.rid + 50).answer(PROMPT)
    session.ended = True
    expect(answer.status == 200, f"HTTP {answer.status}")
    expect(answer.is_terminate, f"{answer}")
    return "HTTP 200"


@section.must("E3 X6", "XEP-0124 17.2")
async def terminal_errors_are_bare(kit: Kit) -> str:
    """A terminal error without details has type, condition and nothing that could be learned."""
    answer = await (await kit.http()).request(UNKNOWN)
    extra = set(answer.attributes) - {"type", "condition"}
    expect(not extra, f"it has {' '.join(sorted(extra))}")
    return "type and condition"
