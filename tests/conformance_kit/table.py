"""The table of results in README.md: ``python -m tests.conformance_kit.table`` runs the kit for it.

The figures go to ``results.json`` here, from which `tests.support.readme` makes the table.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boshgate
from tests.conformance_kit.real import Place, Run, conformance, discoverable
from tests.support.requirements import find_program
from tests.support.servers import Ejabberd, Prosody, XmppServer

RESULTS = Path(__file__).parent / "results.json"
OUTCOMES = ("ok", "fails", "not offered")


def prosody_version() -> str:
    """The version of the Prosody that is installed."""
    about = subprocess.run(
        [find_program("prosodyctl", package="prosody"), "about"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    found = re.search(r"^Prosody (\d\S*)", about.stdout, re.MULTILINE)
    return found[1] if found else "unknown"


def ejabberd_version() -> str:
    """The version of the ejabberd that is installed: its libraries are in a folder named after it."""
    ctl = Path(find_program("ejabberdctl", package="ejabberd")).read_text()
    libraries = re.search(r"^ERL_LIBS='?([^'\n]+)", ctl, re.MULTILINE)
    folders = sorted(Path(libraries[1]).glob("ejabberd-*")) if libraries else []
    found = re.fullmatch(r"ejabberd-([0-9.]+).*", folders[0].name) if folders else None
    return found[1] if found else "unknown"


async def measure(directory: Path) -> dict[str, Any]:
    """Run the kit against the gateway before each server, and against the servers' own endpoints."""
    gateway: dict[str, Any] = {}
    own: dict[str, Any] = {}
    with ExitStack() as stack:
        for server_class, version in ((Prosody, prosody_version()), (Ejabberd, ejabberd_version())):
            server: XmppServer = stack.enter_context(server_class(directory / server_class.name))
            gateway_directory = directory / f"gateway-{server.name}"
            front, origin = stack.enter_context(discoverable(server, gateway_directory))
            name = f"{server.name.replace('prosody', 'Prosody')} {version}"
            report = directory / f"{server.name}.json"
            title = f"boshgate before {name}"
            gateway[title] = await _run(title, server, front, report, "--origin", origin)
            title = f"{name}'s own"
            own[title] = await _run(title, server, server, report)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "kit": boshgate.__version__,
        "endpoints": gateway | own,
    }


async def _run(title: str, server: XmppServer, place: Place, file: Path, *arguments: str) -> dict[str, Any]:
    print(f"{title} ...", file=sys.stderr, flush=True)
    file.unlink(missing_ok=True)
    run = await conformance(server, place, file, *arguments)
    assert run.report, run.errors
    return _figures(run)


def _figures(run: Run) -> dict[str, Any]:
    return {
        "sections": run.report["sections"],
        "total": run.report["total"],
        "seconds": run.report["seconds"],
        "fails": sorted(run.names("fails")),
    }


def table(results: dict[str, Any]) -> str:
    """The results as a table: how many checks of each section hold, fail, and are not offered."""
    endpoints: dict[str, Any] = results["endpoints"]
    lines = [
        f"| section | {' | '.join(endpoints)} |",
        f"| --- |{' ---: |' * len(endpoints)}",
    ]
    sections = dict.fromkeys(section for figures in endpoints.values() for section in figures["sections"])
    for section in sections:
        cells = [_cell(figures["sections"].get(section)) for figures in endpoints.values()]
        lines.append(f"| {section} | {' | '.join(cells)} |")
    totals = [f"**{_cell(figures['total'])}**" for figures in endpoints.values()]
    lines.append(f"| **all** | {' | '.join(totals)} |")
    note = "Checks that hold / fail / concern what the endpoint does not offer"
    return "\n".join([*lines, "", f"{note}; kit of boshgate {results['kit']}, {results['date']}."])


def _cell(counts: dict[str, int] | None) -> str:
    return " / ".join(str(counts[outcome]) for outcome in OUTCOMES) if counts else ""


def main() -> None:
    """Measure, keep the figures, and bring README.md up to date."""
    from tests.support.readme import README, rendered

    with tempfile.TemporaryDirectory(prefix="boshgate-conformance-") as directory:
        results = asyncio.run(measure(Path(directory)))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    README.write_text(rendered(README.read_text()))


if __name__ == "__main__":
    main()
