"""A check that cannot fail says nothing: each seeded bug is noticed, and by a check that holds without it."""

from collections.abc import Iterator

import pytest

from boshgate.conformance.check import Outcome
from tests.conformance_kit.apart import Runs, pool, with_bug, with_settings
from tests.conformance_kit.bugs import BUGS

CHECKS = sorted({bug.check for bug in BUGS.values()})

WITHOUT = {f"the gateway without a bug, part {number}": CHECKS[number::3] for number in range(3)}

OTHER_FAULTS = ("bug in the kit", "no session: ", "not done within", "HTTP 500", "the connection failed")
"""What a bug that broke more than it is named for would look like."""


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """The runs for those of the tests here that were asked for, all begun."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    }
    with pool() as executor:
        found: Runs = {part: executor.submit(with_settings, {}, checks) for part, checks in WITHOUT.items()}
        found |= {
            name: executor.submit(with_bug, name, [BUGS[name].check]) for name in BUGS if name in wanted
        }
        yield found


def test_the_gateway_without_a_bug_holds_them_all(runs: Runs) -> None:
    results = [seen for part in WITHOUT for seen in runs[part].result()]
    assert sorted(seen.name for seen in results) == CHECKS
    assert [seen for seen in results if seen.outcome is not Outcome.OK] == []


@pytest.mark.parametrize("name", BUGS)
def test_a_seeded_bug_is_noticed(name: str, runs: Runs) -> None:
    (seen,) = runs[name].result()
    assert seen.outcome is BUGS[name].outcome, seen.reason
    assert not any(text in seen.reason for text in OTHER_FAULTS), seen.reason
