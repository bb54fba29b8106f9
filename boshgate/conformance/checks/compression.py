"""Compression on the HTTP level: XEP-0124 sections 5 (responses) and 7.2 (requests, 'accept')."""

import gzip
import zlib

from boshgate.conformance.bosh import Bosh, Pending, expect_terminal
from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect, offered
from boshgate.conformance.kit import Kit
from boshgate.conformance.wire import Answer
from boshgate.conformance.xml import message, ping

section = Section("Compression", Transport.BOSH, prefix="compression")

BOMB_BYTES = 64 << 20


TEXT = "To be compressed, a response has to be long enough to be worth it. " * 60


async def _long(kit: Kit, accept: str | None) -> tuple[Bosh, Pending, Answer]:
    """A session, a request, and the long response to it: a message to oneself."""
    session = await kit.login()
    await kit.echo(session)
    headers = {"Accept-Encoding": accept}
    sent = session.send(message(session.jid, "long", TEXT), headers=headers)
    answer = session.note(await sent.answer())
    if not answer.payloads:
        sent = session.send(headers=headers)
        answer = session.note(await sent.answer())
    expect(len(answer.data) > len(TEXT), f"the message did not come back: {answer}")
    return session, sent, answer


@section.may("H7 H3", "XEP-0124 5", login=True)
async def responses_are_compressed_where_asked(kit: Kit) -> str:
    """With Accept-Encoding: gzip the response may be gzip; its Content-Length counts the compressed bytes."""
    answer = (await _long(kit, "gzip"))[2]
    coding = answer.headers.get("content-encoding")
    offered(coding, "responses are not compressed")
    expect(coding in ("gzip", "x-gzip"), f"asked for gzip, got {coding}")
    length = answer.headers.get("content-length")
    expect(length == str(len(answer.raw)), f"Content-Length: {length}, and {len(answer.raw)} bytes came")
    return f"{len(answer.data)} bytes in {len(answer.raw)}"


@section.practice("H7", "RFC 9110 12.5.5", login=True)
async def compressed_responses_vary(kit: Kit) -> str:
    """Where the response depends on Accept-Encoding, Vary says so."""
    answer = (await _long(kit, "gzip"))[2]
    offered(answer.headers.get("content-encoding"), "responses are not compressed")
    vary = answer.headers.get("vary", "")
    expect("accept-encoding" in vary.lower() or vary == "*", f"Vary: {vary or 'absent'}")
    return f"Vary: {vary}"


@section.may("H7", "RFC 9110 8.4.1.2", login=True)
async def deflate_is_the_zlib_format(kit: Kit) -> str:
    """With Accept-Encoding: deflate the response is plain or in the zlib format, not raw deflate."""
    answer = (await _long(kit, "deflate"))[2]
    coding = answer.headers.get("content-encoding")
    offered(coding, "responses are not compressed with deflate")
    expect(coding == "deflate", f"asked for deflate, got {coding}")
    return f"{len(answer.data)} bytes in {len(answer.raw)}"


@section.must("H7", "XEP-0124 5", login=True)
async def nothing_is_compressed_unasked(kit: Kit) -> str:
    """Without Accept-Encoding the response is plain: constrained clients cannot decompress."""
    answer = (await _long(kit, None))[2]
    coding = answer.headers.get("content-encoding")
    expect(coding in (None, "identity"), f"Content-Encoding: {coding} although nothing was offered")
    return "plain"


@section.must("H7 HC25", "RFC 9110 12.4.2", login=True)
async def a_quality_of_zero_refuses(kit: Kit) -> str:
    """gzip;q=0 is no offer of gzip."""
    answer = (await _long(kit, "gzip;q=0, deflate;q=0, identity"))[2]
    coding = answer.headers.get("content-encoding")
    expect(coding in (None, "identity"), f"Content-Encoding: {coding} although it has q=0")
    return "plain"


@section.should("H7 R5", "XEP-0124 14.3", login=True)
async def a_resend_may_accept_another_coding(kit: Kit) -> str:
    """A response that is asked for again has the coding of the later request, and the same XML."""
    seen = []
    for first, later in (("identity", "gzip"), ("gzip", "identity")):
        session, sent, answer = await _long(kit, first)
        again = await session.resend(sent.body, sent.rid, {"Accept-Encoding": later}).answer()
        expect(answer.data == again.data, f"{first}, then {later}: {again} instead of {answer}")
        coding = again.headers.get("content-encoding", "identity")
        expect(coding in ("identity", later), f"{first}, then {later}: Content-Encoding: {coding}")
        length = again.headers.get("content-length")
        expect(length == str(len(again.raw)), f"Content-Length: {length}, and {len(again.raw)} bytes came")
        seen.append(f"{len(answer.raw)} and {len(again.raw)} bytes")
    return ", ".join(seen)


async def _accepting(kit: Kit) -> tuple[Bosh, list[str]]:
    session = await kit.session(wait="1")
    accept = session.granted("accept")
    if accept is None:
        raise NotOffered("no 'accept' in the creation response")
    return session, [coding.strip() for coding in accept.split(",") if coding.strip()]


@section.may("H8", "XEP-0124 7.2")
async def every_accepted_coding_is_understood(kit: Kit) -> str:
    """Requests in each coding of the 'accept' attribute are decompressed."""
    session, codings = await _accepting(kit)
    for coding in codings:
        session.rid += 1
        data = session.wrap("", {"rid": str(session.rid), "sid": session.sid}).encode()
        compressed = {"gzip": gzip.compress(data), "deflate": zlib.compress(data)}.get(coding)
        if compressed is None:
            continue
        answer = await session.http.request(compressed, {"Content-Encoding": coding})
        expect(not answer.is_terminate, f"{coding}: {answer}")
    return ", ".join(codings)


@section.practice("H8 HC24", "RFC 9110 15.5.14")
async def a_decompression_bomb_is_refused(kit: Kit) -> str:
    """A small request that inflates to 64 MB is refused."""
    session, codings = await _accepting(kit)
    if "gzip" not in codings:
        raise NotOffered("gzip is not among the accepted codings")
    packer = zlib.compressobj(9, wbits=31)
    chunks = [packer.compress(session.wrap("", {"rid": str(session.rid + 1), "sid": session.sid}).encode())]
    chunks += [packer.compress(b" " * (1 << 20)) for _ in range(BOMB_BYTES >> 20)]
    data = b"".join([*chunks, packer.flush()])
    answer = await session.http.request(data, {"Content-Encoding": "gzip"})
    if answer.status == 200:
        expect_terminal(answer, "policy-violation", "bad-request", what="the bomb")
    expect(answer.status < 500, f"HTTP {answer.status}")
    return f"HTTP {answer.status} for {len(data)} bytes"


@section.practice("H9", "RFC 9110 15.5.16")
async def a_coding_that_is_not_accepted_is_refused(kit: Kit) -> str:
    """A request in a coding that was not announced (br) is refused, and its session goes on."""
    session = await kit.session()
    if "br" in (session.granted("accept") or ""):
        raise NotOffered("br is accepted")
    body = session.wrap(ping("x", kit.domain), {"rid": str(session.rid + 1), "sid": session.sid})
    try:
        answer = await session.http.request(zlib.compress(body.encode()), {"Content-Encoding": "br"})
    except Fails as failure:
        raise Fails(f"a request in an unknown coding: {failure}") from None
    refused = 400 <= answer.status < 500 or (answer.body is not None and answer.is_terminate)
    expect(refused, f"{answer}")
    expect(await session.is_alive(), "the session is over")
    return f"HTTP {answer.status}"
