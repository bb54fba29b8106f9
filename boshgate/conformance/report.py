"""What a run came to: JSON for programs, a table of the sections and a line for each failure for people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import boshgate
from boshgate.conformance.check import Outcome
from boshgate.conformance.runner import Result
from boshgate.conformance.target import Target

COLOURS = {Outcome.OK: "green", Outcome.FAILS: "red", Outcome.NOT_OFFERED: "yellow"}


@dataclass(frozen=True, slots=True)
class Report:
    """The results, and the endpoints that could not be checked at all."""

    target: Target
    results: Sequence[Result]
    broken: Sequence[str]
    seconds: float

    @property
    def has_failed(self) -> bool:
        return bool(self.broken) or any(result.outcome is Outcome.FAILS for result in self.results)

    def sections(self) -> dict[str, Counter[Outcome]]:
        """How many checks of each section ended how, in the order of the report."""
        sections: dict[str, Counter[Outcome]] = {}
        for result in self.results:
            sections.setdefault(result.check.section, Counter())[result.outcome] += 1
        return sections

    def total(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "kit": f"boshgate {boshgate.__version__}",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "bosh": self.target.bosh_url,
            "websocket": self.target.ws_url,
            "domain": self.target.domain,
            "seconds": round(self.seconds, 1),
            "broken": list(self.broken),
            "total": _counts(self.total()),
            "sections": {name: _counts(counts) for name, counts in self.sections().items()},
            "checks": [_check(result) for result in self.results],
        }

    def print(self, console: Console, *, verbose: bool = False) -> None:
        """What failed, if only at first, or with *verbose* every check; and the table."""
        for line in self.broken:
            console.print(Text.assemble(("not examined ", "red"), line), soft_wrap=True)
        shown = [
            result
            for result in self.results
            if verbose or result.outcome is Outcome.FAILS or result.failed_first is not None
        ]
        for section, results in groupby(shown, key=lambda result: result.check.section):
            console.print(Text(section, "bold"))
            for result in results:
                console.print(_lines(result), soft_wrap=True)
        if self.results:
            console.print(self._table())

    def _table(self) -> Table:
        table = Table(caption=f"{len(self.results)} checks in {self.seconds:.0f} s", show_footer=True)
        total = self.total()
        table.add_column("section", footer="all")
        for outcome in Outcome:
            table.add_column(outcome.value, justify="right", footer=str(total[outcome]))
        for name, counts in self.sections().items():
            cells = [
                Text(str(counts[outcome]), COLOURS[outcome]) if counts[outcome] else Text("-")
                for outcome in Outcome
            ]
            table.add_row(name, *cells)
        return table


def _lines(result: Result) -> Text:
    """One line for what holds; for what fails also the rule, and below it what was seen."""
    check, first = result.check, result.failed_first
    outcome = (f"  {result.outcome.value:<11}  ", COLOURS[result.outcome])
    source = f"  [{check.source}; {check.level.value}; {' '.join(check.requirements)}]"
    if result.outcome is not Outcome.FAILS:
        again = f" (at the second try; at the first: {first})" if first is not None else ""
        return Text.assemble(outcome, (check.name, "bold"), source, f"  {result.reason}{again}")
    indent = f"\n{'':15}"
    return Text.assemble(
        outcome, (check.name, "bold"), source, indent, f"rule: {check.rule}", indent, f"seen: {result.reason}"
    )


def _counts(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _check(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "name": check.name,
        "section": check.section,
        "transport": check.transport.value,
        "requirements": list(check.requirements),
        "source": check.source,
        "level": check.level.value,
        "rule": check.rule,
        "result": result.outcome.value,
        "reason": result.reason,
        "failed_first": result.failed_first,
        "seconds": round(result.seconds, 2),
    }
