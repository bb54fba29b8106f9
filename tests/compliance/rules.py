"""What is written down: the rules, and the decisions about those that no test can show."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent

HARD_CORNER: Final = re.compile(r"(HC\d+)[a-i]?")
"""Hard corners have parts, which tests may name: HC24f."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: where it comes from, how strong it is there, what it says."""

    id: str
    source: str
    level: str
    text: str


def read_rules(path: Path = FOLDER / "rules.toml") -> dict[str, list[Rule]]:
    """Return the rules by heading; raises ValueError for an id that is there twice."""
    parts: dict[str, list[Rule]] = {}
    seen: set[str] = set()
    for heading, rows in tomllib.loads(path.read_text()).items():
        parts[heading] = [Rule(id_, *row) for id_, row in rows.items()]
        if twice := seen & rows.keys():
            raise ValueError(f"{path.name} has these twice: {sorted(twice)}")
        seen |= rows.keys()
    return parts


def read_decisions(path: Path = FOLDER / "decisions.toml") -> dict[str, str]:
    """Return the reasons by the ids of their rules."""
    decisions: dict[str, str] = tomllib.loads(path.read_text())
    return decisions


def rule_of(id_: str) -> str:
    """Return the rule that a marker's *id_* belongs to: itself, or a hard corner without its part."""
    corner = HARD_CORNER.fullmatch(id_)
    return corner[1] if corner else id_


def problems(
    parts: Mapping[str, list[Rule]], decisions: Mapping[str, str], tests: Mapping[str, list[str]]
) -> list[str]:
    """Return what is wrong, a line each: rules with neither test nor decision, names that belong to none.

    *tests*: the node ids of the tests by the rules they are marked with.
    """
    rules = [rule.id for part in parts.values() for rule in part]
    found = [f"{id_}: neither a test nor a decision" for id_ in rules if not {id_} & {*tests, *decisions}]
    found += [f"{id_}: a decision about no rule" for id_ in decisions if id_ not in rules]
    found += [
        f"{id_}: a decision without a reason" for id_, reason in decisions.items() if not reason.strip()
    ]
    found += [f"{id_}: no such rule, says {tests[id_][0]}" for id_ in tests if id_ not in rules]
    for id_ in rules:
        if HARD_CORNER.fullmatch(id_) and not any(
            f"::test_{id_.lower()}_" in test for test in tests.get(id_, [])
        ):
            found.append(f"{id_}: no test is named after this hard corner")
    return found
