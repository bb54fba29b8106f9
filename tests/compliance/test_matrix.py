"""The matrix notices what is missing, stale or made up."""

from pathlib import Path

import pytest

from tests.compliance import __main__ as command
from tests.compliance.page import page
from tests.compliance.rules import Rule, problems, read_decisions, read_rules, rule_of

PARTS = {"Part": [Rule("A1", "XEP-0001 1", "MUST", "One"), Rule("HC2", "own", "own", "Two")]}
TESTS = {"A1": ["tests/a.py::test_one"], "HC2": ["tests/b.py::test_hc2_two"]}


def test_every_rule_has_a_test_or_a_decision() -> None:
    assert problems(PARTS, {}, TESTS) == []
    assert problems(PARTS, {}, {"HC2": TESTS["HC2"]}) == ["A1: neither a test nor a decision"]
    assert problems(PARTS, {"A1": "Because."}, {"HC2": TESTS["HC2"]}) == []


def test_nothing_is_made_up() -> None:
    assert problems(PARTS, {"A2": "Because."}, TESTS) == ["A2: a decision about no rule"]
    assert problems(PARTS, {"A1": " "}, TESTS) == ["A1: a decision without a reason"]
    assert problems(PARTS, {}, TESTS | {"A2": ["tests/a.py::test_two"]}) == [
        "A2: no such rule, says tests/a.py::test_two"
    ]


def test_a_hard_corner_has_a_test_of_its_name() -> None:
    tests = TESTS | {"HC2": ["tests/b.py::test_hc20_two", "tests/b.py::test_two"]}
    assert problems(PARTS, {}, tests) == ["HC2: no test is named after this hard corner"]
    assert rule_of("HC2f") == "HC2"


def test_an_id_is_there_once(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[One]\nA1 = ["", "", ""]\n[Two]\nA1 = ["", "", ""]\n')
    with pytest.raises(ValueError, match="A1"):
        read_rules(file)


def test_the_page_names_tests_and_decisions() -> None:
    tests = TESTS | {"A1": [f"tests/a.py::test_{number}" for number in range(6)]}
    lines = page(PARTS, {"A1": "Because\nof this."}, tests).splitlines()
    row = next(line for line in lines if line.startswith("| A1 "))
    assert "[test_3](../a.py)<br>and 2 more<br>*Decision:* Because of this. |" in row
    assert "| **all** | **2** | **2** | **1** |" in lines


@pytest.mark.parametrize("stale", [False, True])
def test_a_stale_page_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stale: bool
) -> None:
    file = tmp_path / "README.md"
    monkeypatch.setattr(command, "PAGE", file)
    monkeypatch.setattr(command, "read_rules", lambda: PARTS)
    monkeypatch.setattr(command, "read_decisions", dict)
    monkeypatch.setattr(command, "collect_tests", lambda: TESTS)
    assert command.main(["--check"]) == 1
    assert command.main([]) == 0
    if stale:
        file.write_text(file.read_text().replace("test_one", "test_none"))
    capsys.readouterr()
    assert command.main(["--check"]) == stale
    assert ("stale" in capsys.readouterr().err) == stale


def test_the_files_can_be_read() -> None:
    assert sum(len(rules) for rules in read_rules().values()) > 300
    assert all(isinstance(reason, str) for reason in read_decisions().values())
