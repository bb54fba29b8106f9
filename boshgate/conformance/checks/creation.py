"""The session creation response: XEP-0124 section 7.2, XEP-0206 section 4."""

from boshgate.conformance.bosh import LATE, PROMPT, RESTARTLOGIC, VERSION, Bosh
from boshgate.conformance.check import Fails, NotOffered, Section, Transport, expect, offered
from boshgate.conformance.checks.http import creation, expect_type
from boshgate.conformance.kit import Kit
from boshgate.namespaces import HTTPBIND

section = Section("Creation", Transport.BOSH, prefix="creation")

ONCE = {
    "sid", "wait", "requests", "ver", "polling", "inactivity", "hold", "accept", "charsets", "maxpause",
    RESTARTLOGIC,
}  # fmt: skip
"""Attributes of the creation response alone (sections 7.2, 16.3)."""

SHORT_SID = 16
"""Fewer characters hold less than 64 bits."""


def _version(text: str | None) -> tuple[int, int]:
    major, dot, minor = (text or "").partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        raise Fails(f"ver={text!r}")
    return int(major), int(minor)


@section.must("S1 X3", "XEP-0124 7.2, 19.3")
async def sids_are_unpredictable(kit: Kit) -> str:
    """Every session has a sid of its own, long and without anything in common with the others."""
    sids = [(await kit.session()).sid or "" for _ in range(4)]
    expect(len(set(sids)) == len(sids), "a sid came twice")
    expect(min(map(len, sids)) >= SHORT_SID, f"a sid has {min(map(len, sids))} characters")
    alike = sum(len(set(column)) == 1 for column in zip(*sids, strict=False))
    rest = min(map(len, sids)) - alike
    expect(rest >= SHORT_SID * 3 // 4, f"only {rest} characters differ from sid to sid")
    return f"{min(map(len, sids))} characters, {rest} differ"


@section.must("S2", "XEP-0124 7.2")
async def wait_is_at_most_what_was_asked(kit: Kit) -> str:
    """'wait' is there, and not longer than the client asked."""
    for asked in (3, 65535):
        wait = (await kit.session(wait=str(asked))).number("wait")
        if wait is None:
            raise Fails("no 'wait' in the creation response")
        expect(wait <= asked, f"asked {asked}, granted {wait}")
    return f"asked 65535, granted {wait}"


@section.must("S3", "XEP-0124 7.2")
async def requests_is_more_than_hold(kit: Kit) -> str:
    """'requests' is there, and larger than 'hold'."""
    session = await kit.session(hold="1")
    expect(session.requests > 1, f"hold='1' was asked, requests='{session.requests}'")
    return f"requests='{session.requests}'"


@section.should("S7 C6", "XEP-0124 7.2")
async def hold_is_at_most_what_was_asked(kit: Kit) -> str:
    """'hold' is not more than the client asked, and less than 'requests'."""
    seen = []
    for asked in (1, 2, 200):
        session = await kit.session(hold=str(asked))
        hold = session.number("hold")
        offered(hold is not None, "no 'hold' in the creation response")
        assert hold is not None, "offered() has seen it"
        expect(hold <= asked, f"asked {asked}, granted {hold}")
        expect(session.requests > hold, f"hold='{hold}', requests='{session.requests}'")
        seen.append(f"{asked}: {hold}")
    return f"asked and granted {', '.join(seen)}"


@section.should("S4", "XEP-0124 7.2")
async def ver_is_the_lower_one(kit: Kit) -> str:
    """'ver' is the version of the client where that is lower."""
    ver = (await kit.session(ver="1.6")).granted("ver")
    expect(_version(ver) <= (1, 6), f"asked 1.6, answered {ver}")
    return f"asked 1.6, answered {ver}"


@section.must("S4 C4", "XEP-0124 7.1, 7.2")
async def ver_is_compared_as_integers(kit: Kit) -> str:
    """The minor number is an integer of its own: 1.10 is above 1.6, and 1.100 is not echoed."""
    ten = (await kit.session(ver="1.10")).granted("ver")
    far = (await kit.session(ver="1.100")).granted("ver")
    expect((1, 6) <= _version(ten) <= (1, 10), f"asked 1.10, answered {ten}")
    expect((1, 6) <= _version(far) <= (1, 11), f"asked 1.100, answered {far}")
    return f"1.10: {ten}, 1.100: {far}"


@section.should("S5", "XEP-0124 7.2")
async def polling_is_announced(kit: Kit) -> str:
    """'polling' tells the shortest polling interval, in whole seconds."""
    polling = (await kit.session()).number("polling")
    expect(
        polling is not None and polling <= 65535, f"polling: {polling if polling is not None else 'absent'}"
    )
    return f"polling='{polling}'"


@section.should("S6 I3", "XEP-0124 7.2, 10")
async def inactivity_is_announced(kit: Kit) -> str:
    """'inactivity' tells how long a client may stay away, in whole seconds up to 65535."""
    inactivity = (await kit.session()).number("inactivity")
    expect(inactivity is not None, "inactivity is absent")
    expect(0 < (inactivity or 0) <= 65535, f"inactivity='{inactivity}'")
    return f"inactivity='{inactivity}'"


@section.should("S6", "XEP-0124 12")
async def polling_sessions_may_stay_away_longer(kit: Kit) -> str:
    """'inactivity' of a polling session is higher by more than 'polling'."""
    normal = (await kit.session()).number("inactivity")
    session = await kit.session(wait="0")
    longer, polling = session.number("inactivity"), session.number("polling") or 0
    if normal is None or longer is None:
        raise NotOffered("no 'inactivity' in the creation response")
    expect(longer - normal > polling, f"{normal} s, polling {longer} s, with polling='{polling}'")
    return f"{normal} s, polling {longer} s"


@section.may("S8", "XEP-0124 7.2")
async def from_is_the_server(kit: Kit) -> str:
    """'from', where it is there, is the identity of the server."""
    session = await kit.session()
    await session.features()
    found = session.granted("from")
    offered(found, "no 'from' in the creation response")
    expect(found == kit.domain, f"from={found!r}")
    return f"from='{found}'"


@section.may("S9", "XEP-0124 7.2, 10")
async def maxpause_is_a_number(kit: Kit) -> str:
    """'maxpause', where pauses are offered, is a number of seconds."""
    pause = (await kit.session()).number("maxpause")
    offered(pause is not None, "no 'maxpause' in the creation response")
    expect(0 < (pause or 0) <= 65535, f"maxpause='{pause}'")
    return f"maxpause='{pause}'"


@section.should("S10", "XEP-0206 4")
async def features_come_by_themselves(kit: Kit) -> str:
    """The features are in the creation response, or come in answer to an empty request."""
    session = await kit.session()
    features = await session.features()
    first = features.getparent() is (session.created.body if session.created else None)
    return f"in the {'creation response' if first else 'response to an empty request'}"


@section.should("S10 B12", "XEP-0206 4")
async def the_version_comes_with_the_features(kit: Kit) -> str:
    """The response with the features has xmpp:version='1.0'."""
    body = (await (await kit.session()).features()).getparent()
    assert body is not None, "a payload is in a body"
    expect(body.get(VERSION) == "1.0", f"xmpp:version: {body.get(VERSION) or 'absent'}")
    return "1.0"


@section.must("S11", "XEP-0206 4")
async def restartlogic_is_announced(kit: Kit) -> str:
    """xmpp:restartlogic='true' tells that streams can be restarted."""
    found = (await kit.session()).granted(RESTARTLOGIC)
    expect(found in ("true", "1"), f"xmpp:restartlogic: {found or 'absent'}")
    return f"xmpp:restartlogic='{found}'"


@section.may("S12", "XEP-0206 4")
async def authid_is_the_stream_not_the_session(kit: Kit) -> str:
    """'authid', where it is there, is the server's stream id, and never the sid."""
    first, second = await kit.session(), await kit.session()
    found = first.granted("authid")
    offered(found, "no 'authid' in the creation response (obsolete)")
    expect(found != first.sid, "authid is the sid")
    expect(found != second.granted("authid"), "two streams have one authid")
    return "one for each stream"


@section.should("S13", "XEP-0124 7.2", login=True)
async def announcements_are_made_once(kit: Kit) -> str:
    """sid, wait, requests and the others of the creation response are in no later response."""
    session = await kit.login()
    bodies = {element.getparent() for element in session.received}
    end = (await session.ask(attributes={"type": "terminate"})).body
    seen = 0
    for body in {*bodies, end}:
        if body is None or (session.created and body is session.created.body):
            continue
        seen += 1
        again = ONCE & set(map(str, body.attrib))
        expect(not again, f"a later response has {' '.join(sorted(again))}")
    return f"{seen} later responses"


@section.must("S14 P6", "XEP-0124 7.2")
async def creation_is_answered_within_wait(kit: Kit) -> str:
    """The creation response comes within 'wait', whatever the server does."""
    session = await kit.session(wait="1")
    assert session.created is not None, "open() has seen it"
    seconds = session.created.seconds
    expect(seconds <= 1 + LATE, f"after {seconds:.1f} s with wait='1'")
    return f"after {seconds:.2f} s"


@section.must("C7 S14", "XEP-0124 7.1, 12")
async def creation_of_a_polling_session_is_answered_at_once(kit: Kit) -> str:
    """With wait='0' nothing is held, the creation request neither."""
    session = await kit.session(wait="0")
    assert session.created is not None, "open() has seen it"
    expect(session.created.seconds <= PROMPT, f"after {session.created.seconds:.1f} s")
    return f"after {session.created.seconds:.2f} s"


@section.must("C11 H4 HC25", "XEP-0124 7.1")
async def content_is_the_type_of_every_response(kit: Kit) -> str:
    """'content' is the exact Content-Type of all responses, of the first, a resent and the last one too."""
    wanted = "text/html; charset=utf-8"
    session = await kit.session(content=wanted)
    assert session.created is not None, "open() has seen it"
    expect_type(session.created, wanted, "creation response")
    end = session.send(attributes={"type": "terminate"})
    answer = session.note(await end.answer())
    expect_type(answer, wanted, "last response")
    return wanted


@section.should("C5 C6", "XEP-0124 7.1")
async def wait_and_hold_may_be_absent(kit: Kit) -> str:
    """A creation request without wait, hold and ver makes a session that says what it grants."""
    session = await kit.session(wait=None, hold=None, ver=None)
    return f"wait='{session.number('wait')}', requests='{session.requests}'"


@section.practice("C15", "XEP-0124 14.3")
async def creation_is_never_a_repeat(kit: Kit) -> str:
    """The same creation request again makes another session: nobody is given the sid of somebody else."""
    first, second = await kit.session(), await kit.bosh()
    second.rid = first.rid - 1
    await second.open()
    expect(first.sid != second.sid, "the sid of the first session was given away")
    return "another sid"


@section.practice("C13 S10", "clients: xmpp4r, Swiften")
async def the_version_may_be_absent_or_misspelt(kit: Kit) -> str:
    """Without xmpp:version, or with it in urn:xmpp:bosh, the features come all the same."""
    absent = await kit.session(**{"xmpp:version": None})
    await absent.features()
    misspelt = await kit.bosh()
    named = {"rid": str(misspelt.rid), **creation(kit)}
    text = misspelt.wrap("", named).replace("urn:xmpp:xbosh", "urn:xmpp:bosh")
    answer = misspelt.note(await misspelt.http.request(text))
    misspelt.sid, misspelt.created = answer.get("sid"), answer
    await misspelt.features()
    return "both got features"


@section.practice("C8 C10 C14", "clients: gloox, libpurple")
async def what_old_clients_add_is_ignored(kit: Kit) -> str:
    """secure, ack='0' and a route to the default port, as gloox and libpurple send them, refuse nobody."""
    session = await kit.session(secure="false", ack="0", route=f"xmpp:{kit.domain}:5222")
    await session.features()
    second = await kit.session(secure="true")
    await second.features()
    return "2 sessions with features"


@section.practice("C2", "RFC 7622 3.2")
async def domains_are_compared_without_case(kit: Kit) -> str:
    """'to' in capitals is the same domain."""
    session: Bosh = await kit.session(to=kit.domain.upper())
    await session.features()
    return f"to='{kit.domain.upper()}'"


@section.practice("W15 W1", "XML 1.0 3.3.3")
async def quotes_and_prefixes_are_free(kit: Kit) -> str:
    """Attributes in double quotes, in another order and with XB under another prefix are the same request."""
    session = await kit.bosh()
    text = (
        f'<body ver="1.6" q:version="1.0" rid="{session.rid}" hold="1" wait="20"  to="{kit.domain}"\n'
        f'xmlns:q="urn:xmpp:xbosh" xmlns="{HTTPBIND}" ></body >'
    )
    answer = await session.http.request(text)
    session.sid = answer.get("sid")
    expect(session.sid, f"no session but {answer}")
    return "a session was created"
