"""Checks of what a gateway offers in other settings than the default: it holds there, too."""

from collections.abc import Iterator
from typing import Any

import pytest

from boshgate.conformance.check import Outcome
from tests.conformance_kit.apart import Runs, pool, with_settings
from tests.conformance_kit.front import CHECKS

PUBLIC = {"public_url": "https://chat.example.org"}

SETTINGS: dict[str, tuple[dict[str, dict[str, Any]], set[str]]] = {
    "a short inactivity": (
        {"bosh": {"inactivity": 2}},
        {
            "inactivity.an_inactive_session_ends",
            "inactivity.a_session_with_a_held_request_is_active",
            "inactivity.a_pause_may_be_longer_than_inactivity",
        },
    ),
    "no pause": ({"bosh": {"max_pause": 0}}, {"inactivity.a_pause_that_is_not_offered_is_ignored"}),
    "no polling limit": ({"bosh": {"polling": 0}}, {"polling.polling_is_free_where_nothing_is_announced"}),
    "two requests held": ({"bosh": {"max_hold": 2}}, {"payloads.two_are_held_where_granted"}),
    "discovery": ({"server": PUBLIC}, {"discovery.clear_text_is_refused"}),
    "discovery in clear": (
        {"server": PUBLIC | {"allow_clear_text_discovery": True}},
        {name for name in CHECKS if name.startswith("discovery.")} - {"discovery.clear_text_is_refused"},
    ),
}

LONG_POLLING: tuple[dict[str, dict[str, Any]], set[str]] = (
    {"bosh": {"polling": 5}},  # as Prosody, and the examples of the XEP
    {name for name, check in CHECKS.items() if name.startswith("polling.") and check.login}
    - {"polling.a_busy_client_is_not_overactive"},
)
"""What asks for more time than a check has."""


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """A run with each of the settings, all begun."""
    with pool() as executor:
        yield {
            name: executor.submit(with_settings, tables, sorted(checks))
            for name, (tables, checks) in (SETTINGS | {"long polling": LONG_POLLING}).items()
        }


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_offered_holds(setting: str, runs: Runs) -> None:
    results = runs[setting].result()
    assert {seen.name for seen in results} == SETTINGS[setting][1]
    assert [seen for seen in results if seen.outcome is not Outcome.OK] == []


def test_nobody_is_blamed_for_a_long_polling_interval(runs: Runs) -> None:
    results = runs["long polling"].result()
    assert {seen.name for seen in results} == LONG_POLLING[1]
    assert {(seen.outcome, seen.reason) for seen in results} == {
        (Outcome.NOT_OFFERED, "with polling='5' a login takes longer than a check may")
    }
