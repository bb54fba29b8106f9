"""XMPP over BOSH: XEP-0206, and what of XMPP's negotiation belongs to the connection manager."""

import asyncio

from boshgate.conformance.bosh import FEATURES, PROMPT, Bosh, expect_empty
from boshgate.conformance.check import Fails, NotOffered, Section, Transport, Unanswered, expect
from boshgate.conformance.kit import Kit
from boshgate.conformance.login import bind
from boshgate.conformance.xml import Element, named, ping, quoteattr, tag, written
from boshgate.namespaces import COMPRESS, COMPRESS_FEATURE, SM3, TLS

section = Section("XEP-0206", Transport.BOSH, prefix="xep0206")


@section.must("B2 B3 B10", "XEP-0206 5", login=True)
async def a_user_can_log_in(kit: Kit) -> str:
    """SASL, restart and resource binding work."""
    session = await kit.login()
    return f"as {session.jid} after {len(session.received)} payloads"


@section.must("B3", "XEP-0206 5", login=True)
async def a_restart_brings_new_features(kit: Kit) -> str:
    """After the restart the features of the new stream are forwarded: no SASL any more, but binding."""
    session = await kit.session()
    before = await session.features()
    after = await kit.log_in(session)
    expect(written(before, 9999) != written(after, 9999), "the features are the same as before the login")
    return "other features"


async def _restarts(kit: Kit, **attributes: str | None) -> Bosh:
    """A session that was restarted by a request with these attributes."""
    session = await kit.session()
    await kit.authenticate(session)
    features = await kit.restart(session, **attributes)
    session.jid = await bind(session.exchange, features)
    return session


@section.must("B2 HC19", "XEP-0206 5, note 11", login=True)
async def a_restart_may_be_written_as_1(kit: Kit) -> str:
    """restart='1' is as good as restart='true'."""
    await _restarts(kit, **{"xmpp:restart": "1"})
    return "restarted"


@section.must("B2 W15 HC19", "XEP-0206 5", login=True)
async def a_restart_may_have_another_prefix(kit: Kit) -> str:
    """What counts is the namespace urn:xmpp:xbosh, not the prefix."""
    await _restarts(kit, **{"xmpp:restart": None, "xmlns:q": "urn:xmpp:xbosh", "q:restart": "true"})
    return "restarted"


@section.practice("B3", "clients: Swiften, xmpp4r", login=True)
async def a_restart_may_lack_to(kit: Kit) -> str:
    """A restart request without 'to' and xml:lang is for the session's domain."""
    await _restarts(kit, to=None, **{"xml:lang": None})
    return "restarted"


@section.practice("W15", "XEP-0206 5", login=True)
async def an_unprefixed_restart_is_none(kit: Kit) -> str:
    """'restart' without a namespace, or restart='false', is no restart."""
    session = await kit.session(wait="1")
    await kit.authenticate(session)
    since = len(session.received)
    for attributes in ({"restart": "true"}, {"xmpp:restart": "false"}):
        answer = await session.ask(attributes=attributes)
        expect(not answer.is_terminate, f"{attributes}: {answer}")
        expect(not any(tag(each) == FEATURES for each in session.received[since:]), f"{attributes} restarts")
    await bind(session.exchange, await kit.restart(session))
    return "only the real one restarted"


@section.should("B4", "XEP-0206 5, note 12", login=True)
async def a_stanza_in_a_restart_is_ignored(kit: Kit) -> str:
    """A stanza that comes with the restart request is not forwarded."""
    session = await kit.session()
    await kit.authenticate(session)
    attributes = {"to": kit.domain, "xmpp:restart": "true"}
    since = len(session.received)
    await session.ask(ping("too-early", kit.domain), attributes)
    features = await session.wait_for(lambda element: tag(element) == FEATURES, "features", since)
    await bind(session.exchange, features)
    await session.exchange(ping("fence", kit.domain), named("fence"), "the answer to a ping")
    expect(not any(named("too-early")(each) for each in session.received), "it was forwarded, and answered")
    return "not answered"


@section.should("W6", "XEP-0206 2", login=True)
async def success_comes_alone(kit: Kit) -> str:
    """<success/> is not merged with anything else."""
    session = await kit.session()
    await kit.authenticate(session)
    body = session.received[-1].getparent()
    assert body is not None, "a payload is in a body"
    expect(len(body) == 1, f"{written(body)}")
    return "alone"


@section.should("B7 F1", "XEP-0206 2, 4")
async def tls_is_not_offered(kit: Kit) -> str:
    """The features have no <starttls/>: encryption is HTTP's."""
    features = await (await kit.session()).features()
    expect(features.find(f"{{{TLS}}}starttls") is None, f"{written(features)}")
    return "no <starttls/>"


@section.should("B8 F2", "XEP-0206 4")
async def stream_compression_is_not_offered(kit: Kit) -> str:
    """The features have no stream compression: compression is HTTP's."""
    features = await (await kit.session()).features()
    expect(features.find(f"{{{COMPRESS_FEATURE}}}compression") is None, f"{written(features)}")
    return "no <compression/>"


async def _never(kit: Kit, payload: str, unwanted: str, what: str) -> str:
    """*payload* is refused in some way, and never granted."""
    session = await kit.session(wait="2")
    await session.features()
    answers = [await session.ask(payload)]
    if not answers[0].is_terminate:
        answers.append(await session.ask(within=PROMPT * 2))
    for answer in answers:
        expect(not any(tag(each) == unwanted for each in answer.payloads), f"{what}: {answer}")
    said = [written(each, 60) for answer in answers for each in answer.payloads]
    return said[0] if said else str(answers[0].get("condition") or "no answer")


@section.practice("B7 HC24", "XEP-0206 2", login=False)
async def a_client_never_starts_tls(kit: Kit) -> str:
    """A client's <starttls/> never makes the stream behind start TLS."""
    return await _never(kit, f"<starttls xmlns='{TLS}'/>", f"{{{TLS}}}proceed", "<starttls/>")


@section.practice("B8 HC24", "XEP-0206 4", login=False)
async def a_client_never_starts_compression(kit: Kit) -> str:
    """A client's <compress/> never compresses the stream behind."""
    text = f"<compress xmlns='{COMPRESS}'><method>zlib</method></compress>"
    return await _never(kit, text, f"{{{COMPRESS}}}compressed", "<compress/>")


async def _with_stream_management(kit: Kit) -> tuple[Bosh, Element]:
    """A session that has asked for XEP-0198 with resumption, and the answer."""
    session = await kit.session()
    features = await kit.log_in(session)
    if features.find(f"{{{SM3}}}sm") is None:
        raise NotOffered("the server offers no stream management (XEP-0198)")
    enabled = await session.exchange(
        f"<enable xmlns='{SM3}' resume='true'/>",
        lambda element: tag(element) in (f"{{{SM3}}}enabled", f"{{{SM3}}}failed"),
        "an answer to <enable/>",
    )
    return session, enabled


@section.should("SM1 W6", "XEP-0198 3", login=True)
async def stream_management_passes_through(kit: Kit) -> str:
    """XEP-0198: <enable/> and <r/> are answered by the server, with the right count."""
    session, enabled = await _with_stream_management(kit)
    expect(tag(enabled) == f"{{{SM3}}}enabled", f"{written(enabled)}")
    for number in range(2):
        await session.exchange(ping(f"sm{number}", kit.domain), named(f"sm{number}"), "the answer to a ping")
    answer = await session.exchange(
        f"<r xmlns='{SM3}'/>", lambda element: tag(element) == f"{{{SM3}}}a", "an answer to <r/>"
    )
    expect(answer.get("h") == "2", f"{written(answer)} after 2 stanzas")
    return "h='2' after 2 stanzas"


async def _resumed(kit: Kit, enabled: Element) -> Element:
    """What the server says to a client that wants to go on with the stream that *enabled* belongs to."""
    session = await kit.session()
    await kit.authenticate(session)
    await kit.restart(session)
    previous = quoteattr(enabled.get("id") or "")
    try:
        return await session.exchange(
            f"<resume xmlns='{SM3}' previd={previous} h='0'/>",
            lambda element: tag(element) in (f"{{{SM3}}}resumed", f"{{{SM3}}}failed"),
            "an answer to <resume/>",
        )
    except Unanswered:
        raise NotOffered("the server says nothing to <resume/>") from None


@section.practice("SM5 HC22", "XEP-0198 5, 7", login=True)
async def a_session_that_vanished_can_be_resumed(kit: Kit) -> str:
    """A session that ends by inactivity leaves a stream that XEP-0198 can resume: it was not closed."""
    session, enabled = await _with_stream_management(kit)
    if enabled.get("resume") not in ("true", "1"):
        raise NotOffered("the server grants no resumption")
    if session.number("maxpause") is None:
        raise NotOffered("no 'maxpause', and without a pause inactivity is too long to wait for")
    await session.ask(attributes={"pause": "1"}, within=PROMPT)
    await asyncio.sleep(4)
    answer = await _resumed(kit, enabled)
    session.ended = True
    expect(tag(answer) == f"{{{SM3}}}resumed", f"{written(answer)}")
    return "resumed"


@section.must("SM6 HC22", "XEP-0198 5, XEP-0124 13", login=True)
async def a_terminated_session_cannot_be_resumed(kit: Kit) -> str:
    """A session that the client ended is closed for the server too: nothing is left to be resumed."""
    session, enabled = await _with_stream_management(kit)
    if enabled.get("resume") not in ("true", "1"):
        raise NotOffered("the server grants no resumption")
    await session.ask(attributes={"type": "terminate"})
    await asyncio.sleep(1)
    answer = await _resumed(kit, enabled)
    expect(tag(answer) == f"{{{SM3}}}failed", f"{written(answer)}")
    return "nothing to resume"


@section.practice("P16 B5", "XEP-0206 5", login=True)
async def what_follows_a_restart_is_kept(kit: Kit) -> str:
    """A request that is sent right after the restart, before the new features came, is not lost."""
    session = await kit.session()
    await kit.authenticate(session)
    restart = session.send(attributes={"to": kit.domain, "xmpp:restart": "true", "xml:lang": "en"})
    await asyncio.sleep(0.01)
    following = session.send()
    since = len(session.received)
    session.note(await restart.answer(PROMPT))
    if not any(tag(each) == FEATURES for each in session.received[since:]):
        session.note(await following.answer(PROMPT))
    if not any(tag(each) == FEATURES for each in session.received[since:]):
        raise Fails("no features after the restart")
    if following.is_answered:
        expect(not (await following.answer()).is_terminate, f"{await following.seen()}")
    else:
        expect(await following.is_held(0.3), "the following request is lost")
    return "features, and the request is kept"


@section.must("W3 W12", "RFC 6120 6.3.5")
async def an_empty_exchange_harms_no_negotiation(kit: Kit) -> str:
    """White space in requests during the negotiation is not forwarded: no server ends the stream for it."""
    session = await kit.session(wait="1")
    await session.features()
    for _ in range(2):
        expect_empty(await session.ask("\n   \n"), "a request with white space")
    return "the stream goes on"
