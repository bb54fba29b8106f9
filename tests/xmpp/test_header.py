"""What of the client's words may stand in a stream header (RFC 6120 section 4.7)."""

import pytest

from boshgate.xmpp.header import bare_jid, language


@pytest.mark.rule("C3")
@pytest.mark.parametrize("value", ["en", "de-CH-1996", "x-klingon"])
def test_a_language_tag_is_kept(value: str) -> None:
    assert language(value) == value


@pytest.mark.rule("C3")
@pytest.mark.parametrize("value", [None, "", "de_CH", "e n", "en'", "en-", "-en", "dé"])
def test_what_is_no_language_tag_is_left_out(value: str | None) -> None:
    assert language(value) is None


@pytest.mark.rule("C9", "T14")
@pytest.mark.parametrize("value", ["alice@example.org", "alice@example.org/web", "álice@exämple.org/a/b@c"])
def test_the_resource_is_cut_off(value: str) -> None:
    assert bare_jid(value) == value.partition("/")[0]


@pytest.mark.rule("C9")
@pytest.mark.parametrize(
    "value", [None, "", "example.org", "@example.org", "a@", "a@b@c", "a b@c", "a'@c", "/x"]
)
def test_what_is_no_jid_of_a_client_is_left_out(value: str | None) -> None:
    assert bare_jid(value) is None
