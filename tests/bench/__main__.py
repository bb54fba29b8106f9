"""`python -m tests.bench`: CPU per message round trip and memory per idle session, in one run.

Each run of a case has servers of its own, fresh ones: Prosody keeps cancelled timers for a minute, so that an
old one would make the next case look dear. The cases take turns in every round, so that a change of the
machine's speed meets all of them.
"""

import argparse
import json
import platform
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import uvloop

from tests.bench.cases import CASES, Case, Load, Sample, Transport, measure_idle, run_case
from tests.bench.measure import cpu_model
from tests.bench.report import as_json, tables
from tests.bench.results import BOSHGATE, PROSODY, Results
from tests.bench.servers import Boshgate, LeanProsody
from tests.support.requirements import MissingProgramError, find_program

IDLE_TRANSPORTS = (Transport.BOSH, Transport.WEBSOCKET)

BUSY = 0.1
"""Part of the machine's CPU in other hands above which the figures are not to be believed."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options; the defaults take about two minutes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all cases (default 3)")
    parser.add_argument(
        "--messages", type=int, default=4000, help="measured round trips per run (default 4000)"
    )
    parser.add_argument("--sessions", type=int, default=8, help="sessions sending at once (default 8)")
    parser.add_argument(
        "--think", type=float, default=0, help="ms between answer and next message (default 0)"
    )
    parser.add_argument(
        "--idle", type=int, default=500, help="idle sessions for the memory, 0 for none (default 500)"
    )
    parser.add_argument(
        "--case", action="append", help="only cases whose name contains this; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="1 round, 800 messages, 100 idle sessions: a smoke test"
    )
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.messages, options.idle = 1, 800, 100
    if options.sessions < 1 or options.messages < options.sessions or options.rounds < 1 or options.idle < 0:
        parser.error("--rounds and --sessions are at least 1, --messages at least one per session")
    options.cases = [
        case for case in CASES if not options.case or any(part in str(case) for part in options.case)
    ]
    return options


@contextmanager
def servers_for(case: Case) -> Iterator[tuple[int, dict[str, int]]]:
    """Start what *case* needs; give the port to speak to and the process ids by name."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boshgate-bench-")))
        prosody = stack.enter_context(LeanProsody(directory / "prosody"))
        pids = {PROSODY: prosody.pid}
        port = prosody.plain_port if case.transport is Transport.TCP else prosody.http_port
        if case.server == BOSHGATE:
            gateway = stack.enter_context(Boshgate(directory / "boshgate", prosody.plain_port))
            port, pids[BOSHGATE] = gateway.http_port, gateway.pid
        yield port, pids


async def measure(options: argparse.Namespace) -> Results:
    """Run everything; raises LoadError when a server does not do its part."""
    load = Load(
        options.messages, max(options.messages // 5, options.sessions), options.sessions, options.think / 1000
    )
    samples: dict[Case, list[Sample]] = {case: [] for case in options.cases}
    for number in range(options.rounds):
        for case in options.cases:
            with servers_for(case) as (port, pids):
                sample = await run_case(case, port, pids, load)
            samples[case].append(sample)
            used = ", ".join(f"{name} {cpu:.0f} us" for name, cpu in sample.cpu_us.items())
            progress(f"round {number + 1}/{options.rounds}: {case}: {used}")
    idle: dict[Case, list[float]] = {}
    for case in options.cases if options.idle else ():
        if case.transport in IDLE_TRANSPORTS:
            with servers_for(case) as (port, pids):
                grown = await measure_idle(case.transport, port, pids[case.server], options.idle)
            idle[case] = [grown]
            progress(f"{options.idle} idle sessions: {case}: {grown / 1000:.1f} kB each")
    return Results(samples, idle)


def environment(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the figures depend on."""
    packages = {
        name: version(name) for name in ("boshgate", "uvicorn", "uvloop", "httptools", "websockets", "lxml")
    }
    about = subprocess.run(
        [find_program("prosodyctl", package="prosody"), "about"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    prosody = re.search(r"^Prosody (\d\S*)", about.stdout, re.MULTILINE)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": psutil.cpu_count(),
        "python": platform.python_version(),
        "prosody": prosody[1] if prosody else "unknown",
        **packages,
        "rounds": options.rounds,
        "messages": options.messages,
        "sessions": options.sessions,
        "idle": options.idle,
        "think_ms": options.think,
    }


def describe(about: dict[str, Any]) -> str:
    """Return the environment as two sentences."""
    packages = ", ".join(
        f"{name} {about[name]}" for name in ("uvicorn", "uvloop", "httptools", "websockets", "lxml")
    )
    return (
        f"{about['date']}, boshgate {about['boshgate']}, Python {about['python']}, {packages}, "
        f"Prosody {about['prosody']}, {about['cpu']}, {about['cores']} cores. "
        f"{about['rounds']} rounds of {about['messages']} round trips over {about['sessions']} sessions, "
        f"{about['idle']} idle sessions; a round trip is a chat message to the sender's own full JID."
    )


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    options = parse()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20000)), hard))
    try:
        about = environment(options)
        results = uvloop.run(measure(options))
    except MissingProgramError as error:
        progress(f"the benchmark needs Prosody: {error}")
        return 2
    parts = [describe(about)]
    if results.others > BUSY:
        parts.append(
            f"NOTE: other processes took {results.others:.0%} of the machine meanwhile. "
            "They make every figure too high; run it again when the machine is quiet."
        )
    parts += [table.markdown() if options.markdown else table.text() for table in tables(results)]
    print("\n\n".join(parts))
    if options.json:
        options.json.write_text(json.dumps(as_json(results, about), indent=2) + "\n", encoding="utf-8")
    return int(options.check and not all(target.holds for target in results.targets()))


if __name__ == "__main__":
    sys.exit(main())
