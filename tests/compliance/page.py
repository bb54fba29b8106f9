"""The matrix as a page: each rule with the tests that hold the gateway to it, or the decision about it."""

from collections.abc import Iterator, Mapping
from typing import Final

from tests.compliance.rules import FOLDER, Rule

PAGE: Final = FOLDER / "README.md"

SHOWN: Final = 4
"""Tests named in a row; the others are counted."""

INTRODUCTION: Final = """\
# The compliance matrix

Made from the tests by `make matrix`, never by hand: a test carries the ids of the rules that it would catch \
breaking (`@pytest.mark.rule("H1")`). `make check` fails when this page is stale, or when a rule has neither \
a test nor a decision. `make test` runs all of them, and with `CI=true` none may be skipped.

A level in capitals is the standard's own word; *client* says that the rule binds the client, and that the \
gateway relies on it or enforces it; *own* is a rule of ours where the standards leave room.
"""


def page(
    parts: Mapping[str, list[Rule]], decisions: Mapping[str, str], tests: Mapping[str, list[str]]
) -> str:
    """Return the page in Markdown."""
    return "\n".join(
        [INTRODUCTION, *_summary(parts, decisions, tests), *_tables(parts, decisions, tests), ""]
    )


def _summary(
    parts: Mapping[str, list[Rule]], decisions: Mapping[str, str], tests: Mapping[str, list[str]]
) -> Iterator[str]:
    yield "| part | rules | with a test | with a decision |"
    yield "| --- | --- | --- | --- |"
    totals = [0, 0, 0]
    for heading, rules in parts.items():
        ids = {rule.id for rule in rules}
        counts = [len(ids), len(ids & tests.keys()), len(ids & decisions.keys())]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        yield f"| {heading} | {' | '.join(map(str, counts))} |"
    yield f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |"


def _tables(
    parts: Mapping[str, list[Rule]], decisions: Mapping[str, str], tests: Mapping[str, list[str]]
) -> Iterator[str]:
    for heading, rules in parts.items():
        yield f"\n## {heading}\n"
        yield "| id | source | level | rule | tests and decisions |"
        yield "| --- | --- | --- | --- | --- |"
        for rule in rules:
            proof = [_link(test) for test in tests.get(rule.id, [])[:SHOWN]]
            if (more := len(tests.get(rule.id, [])) - SHOWN) > 0:
                proof.append(f"and {more} more")
            if rule.id in decisions:
                proof.append(f"*Decision:* {' '.join(decisions[rule.id].split())}")
            yield f"| {rule.id} | {rule.source} | {rule.level} | {rule.text} | {'<br>'.join(proof)} |"


def _link(test: str) -> str:
    """Name a test and link its file, from the folder of the page."""
    file, _, name = test.partition("::")
    return f"[{name}](../{file.removeprefix('tests/')})"
