"""The properties of a session bite: they notice every seeded bug, and nothing where there is none."""

import pytest

from boshgate.bosh.session import Session
from tests.bosh.mutants import MUTANTS, PLAYS, Mutant, notices, seeded


def test_there_is_nothing_to_notice_in_the_session_itself() -> None:
    assert notices(Session, 1_000, seed=1) is None


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_seeded_bug_is_noticed(mutant: Mutant) -> None:
    with seeded(mutant) as session_class:
        assert notices(session_class, PLAYS) is not None
