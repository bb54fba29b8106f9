"""What of the client's words may stand in a stream header (RFC 6120 section 4.7)."""

import pytest

from boshgate.backend.header import bare_jid, language


@pytest.mark.parametrize("value", ["en", "de-CH-1996", "x-klingon"])
def test_a_language_tag_is_kept(value: str) -> None:  # C3
    assert language(value) == value


@pytest.mark.parametrize("value", [None, "", "de_CH", "e n", "en'", "en-", "-en", "dé"])
def test_what_is_no_language_tag_is_left_out(value: str | None) -> None:  # C3
    assert language(value) is None


@pytest.mark.parametrize("value", ["alice@example.org", "alice@example.org/web", "álice@exämple.org/a/b@c"])
def test_the_resource_is_cut_off(value: str) -> None:  # C9, T14
    assert bare_jid(value) == value.partition("/")[0]


@pytest.mark.parametrize(
    "value", [None, "", "example.org", "@example.org", "a@", "a@b@c", "a b@c", "a'@c", "/x"]
)
def test_what_is_no_jid_of_a_client_is_left_out(value: str | None) -> None:  # C9
    assert bare_jid(value) is None
