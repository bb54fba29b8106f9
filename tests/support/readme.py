"""Parts of README.md made from other files; ``python -m tests.support.readme`` writes them anew."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boshgate.config import AdminTable, BoshTable, Domain, LimitsTable, ServerTable, Table, WebSocketTable
from tests.conformance_kit.table import RESULTS
from tests.conformance_kit.table import table as conformance_table

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
NGINX = ROOT / "tests" / "integration" / "nginx-boshgate.conf"
DISCOVERY = NGINX.with_name("nginx-discovery.conf")

TABLES: dict[str, type[Table]] = {
    "[server]": ServerTable,
    "[admin]": AdminTable,
    "[bosh]": BoshTable,
    "[websocket]": WebSocketTable,
    "[limits]": LimitsTable,
    "[[domains]]": Domain,
}


def configuration() -> str:
    """The table of all keys, from the configuration's own docstrings and defaults."""
    lines = ["| key | default | meaning |", "| --- | --- | --- |"]
    for name, table in TABLES.items():
        lines += [f"| **`{name}`** | | |", *_rows(table)]
    return "\n".join(lines)


def _rows(table: type[Table]) -> Iterator[str]:
    for key, field in table.model_fields.items():
        default = "required" if field.is_required() else _written(field.default)
        yield f"| `{key}` | {default} | {' '.join((field.description or '').replace('``', '`').split())} |"


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"  # as TOML has it
    return f"`{value}`"


def nginx(file: Path) -> str:
    """A configuration for nginx that the tests run behind."""
    return f"```nginx\n{file.read_text().rstrip()}\n```"


def conformance() -> str:
    """The table of the conformance kit's results; ``make conformance-table`` measures them anew."""
    return conformance_table(json.loads(RESULTS.read_text(encoding="utf-8")))


def rendered(text: str) -> str:
    """README's *text* with the made parts between their markers brought up to date."""
    parts = {
        "configuration": configuration(),
        "nginx": nginx(NGINX),
        "discovery": nginx(DISCOVERY),
        "conformance": conformance(),
    }
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        assert pattern.search(text), f"README.md has no {begin}"
        text = pattern.sub(lambda _match: f"{begin}\n{part}\n{end}", text)  # noqa: B023  # used at once
    return text


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
