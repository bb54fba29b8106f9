"""What the benchmark prints: tables for a terminal and for the README, and the same as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.bench.cases import Case, Transport
from tests.bench.results import BOSHGATE, PROSODY, Figure, Results, figure_or_none, scaled

MISSING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return the table for a terminal: first column to the left, figures to the right."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        shown = [
            "  ".join(
                cell.ljust(width) if not column else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.title, "", shown[0], "-" * len(shown[0]), *shown[1:]])

    def markdown(self) -> str:
        """Return the table in Markdown."""
        rule = ["---", *("--:" for _ in self.head[1:])]
        lines = [f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows)]
        return "\n".join([f"{self.title}:", "", *lines])


def cpu_table(results: Results) -> Table:
    """CPU per round trip, case by case."""
    rows = []
    for case, samples in results.samples.items():
        sums = figure_or_none(sum(sample.cpu_us.values()) for sample in samples)
        rows.append(
            [
                str(case),
                _show(results.cpu(case, BOSHGATE)),
                _show(results.cpu(case, PROSODY)),
                _show(sums),
                f"{median(s.http_requests for s in samples):.2f}" if samples[0].http_requests else MISSING,
                f"{median(s.rate for s in samples):.0f}",
                f"{median(s.others for s in samples):.0%}",
            ]
        )
    head = ["end point", "boshgate", "Prosody", "sum", "HTTP requests", "round trips/s", "others' CPU"]
    return Table("CPU microseconds per message round trip, median (lowest-highest)", head, rows)


def ratio_table(results: Results) -> Table:
    """boshgate's CPU beside what Prosody's own end points add to plain TCP."""
    rows = []
    for transport in (Transport.BOSH, Transport.BOSH_EAGER, Transport.WEBSOCKET):
        mine, added = results.cpu(Case(BOSHGATE, transport), BOSHGATE), results.added(transport)
        if mine is not None or added is not None:
            rows.append([transport.value, _show(mine), _show(added), _show(results.ratio(transport), 2)])
    head = ["transport", "boshgate", "Prosody's own adds to TCP", "ratio"]
    return Table("boshgate's own CPU beside what Prosody's own end point adds to plain TCP", head, rows)


def idle_table(results: Results) -> Table:
    """Memory per idle session."""
    rows = [[str(case), _show(scaled(results.bytes_per_session(case), 1e-3), 1)] for case in results.idle]
    return Table(
        "Memory per idle logged-in session of that process, kB (1000 bytes) of RSS", ["end point", "kB"], rows
    )


def target_table(results: Results) -> Table:
    """Which targets hold."""
    rows = [
        [
            target.name,
            f"at most {target.limit:g} {target.unit}",
            _show(target.value, 2 if target.limit < 1 else 1),
            ("holds" if target.holds else "MISSED") if target.value else "not measured",
        ]
        for target in results.targets()
    ]
    return Table("Targets", ["target", "limit", "measured", "verdict"], rows)


def tables(results: Results) -> list[Table]:
    """All tables that have rows."""
    made = (cpu_table(results), ratio_table(results), idle_table(results), target_table(results))
    return [table for table in made if table.rows]


def as_json(results: Results, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything measured as plain data."""
    return {
        "about": dict(about),
        "samples": {
            str(case): [
                {
                    "cpu_us": dict(s.cpu_us),
                    "http_requests": s.http_requests,
                    "rate": s.rate,
                    "others": s.others,
                }
                for s in samples
            ]
            for case, samples in results.samples.items()
        },
        "idle_bytes": {str(case): list(values) for case, values in results.idle.items()},
        "targets": [
            {"name": t.name, "limit": t.limit, "value": t.value and t.value.value, "holds": t.holds}
            for t in results.targets()
        ],
    }


def _show(figure: Figure | None, digits: int = 0) -> str:
    return MISSING if figure is None else figure.show(digits)
