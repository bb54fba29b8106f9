"""README.md says what is so."""

from tests.support.readme import README, configuration, rendered


def test_the_made_parts_are_up_to_date() -> None:
    text = README.read_text()
    assert rendered(text) == text, "run `make readme`"


def test_every_key_has_a_meaning() -> None:
    for row in configuration().splitlines():
        if row.startswith("| `"):
            assert row.split("|")[3].strip(), row
