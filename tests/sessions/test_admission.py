"""The limits on open sessions, and shutdown."""

import pytest

from boshgate.config import LimitsTable
from boshgate.sessions.admission import Admission


@pytest.mark.rule("C16")
def test_the_total_is_limited() -> None:
    admission = Admission(LimitsTable(max_sessions=1))
    assert admission.refusal("192.0.2.1") is None
    admission.admit("192.0.2.1")
    assert admission.refusal("192.0.2.2") == ("policy-violation", "limits.max_sessions (1) reached")
    admission.release("192.0.2.1")
    assert admission.refusal("192.0.2.2") is None


@pytest.mark.rule("C16")
def test_one_address_is_limited_and_others_notice_nothing() -> None:
    admission = Admission(LimitsTable(max_sessions_per_address=2))
    for _ in range(2):
        admission.admit("192.0.2.1")
    assert admission.refusal("192.0.2.1") == (
        "policy-violation",
        "limits.max_sessions_per_address (2) reached",
    )
    assert admission.refusal("192.0.2.2") is None
    admission.release("192.0.2.1")
    assert admission.refusal("192.0.2.1") is None
    admission.release("192.0.2.1")
    assert admission.open == 0


@pytest.mark.rule("C16")
def test_nobody_is_admitted_while_shutting_down() -> None:
    admission = Admission(LimitsTable())
    admission.draining = True
    refusal = admission.refusal("192.0.2.1")
    assert refusal is not None
    assert refusal[0] == "system-shutdown"
