"""The command ``boshgate conformance``: from arguments to a report, with a progress bar between."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from boshgate.conformance.check import Check, Outcome, Transport
from boshgate.conformance.checks import all_checks
from boshgate.conformance.probe import probe
from boshgate.conformance.report import Report
from boshgate.conformance.runner import Result, applicable, run
from boshgate.conformance.target import Account, Target

OK, FAILURES, USAGE = 0, 1, 2
"""Exit statuses."""


class UsageError(Exception):
    """The arguments make no sense; the text says which."""


def conformance(
    *,
    bosh: str | None,
    ws: str | None,
    domain: str,
    origin: str | None,
    anonymous: bool,
    jid: str | None,
    password_env: str | None,
    only: str | None,
    json_file: Path | None,
    verbose: bool,
) -> int:
    """Examine the endpoints: exit status 0, 1 where a check fails, 2 where the arguments do."""
    errors = Console(stderr=True, highlight=False)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # what an endpoint does wrong is in the report
    try:
        if not domain.strip():
            raise UsageError("--domain is empty (accepted: the XMPP domain that the endpoint serves)")
        account = _account(anonymous, jid, password_env, domain, os.environ)
        target = Target(
            _url(bosh, "--bosh", "http"),
            _url(ws, "--ws", "ws"),
            domain,
            account,
            origin_url=_url(origin, "--origin", "http"),
        )
        checks = _selected(target, only)
        report = asyncio.run(examine(target, checks, errors))
        if json_file is not None:
            _write(json_file, report)
    except UsageError as error:
        errors.print(f"boshgate: {error}", soft_wrap=True, markup=False)
        return USAGE
    report.print(Console(highlight=False), verbose=verbose)
    return FAILURES if report.has_failed else OK


async def examine(target: Target, checks: list[Check], errors: Console) -> Report:
    """Probe, run what can be run, and show how far it is on a terminal."""
    began = time.monotonic()
    findings = await probe(target)
    if findings.refused is not None:
        raise UsageError(f"the login does not work: {findings.refused}")
    usable = applicable(checks, set(Transport) - set(findings.broken))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        bar = progress.add_task("checks", total=len(usable), failed="")
        failed = 0

        def on_result(result: Result) -> None:
            nonlocal failed
            failed += result.outcome is Outcome.FAILS
            progress.update(bar, advance=1, failed=f"{failed} fail" if failed else "")

        results = await run(findings.target, usable, on_result=on_result)
    return Report(findings.target, results, list(findings.broken.values()), time.monotonic() - began)


def _url(url: str | None, option: str, scheme: str) -> str | None:
    if url is None:
        return None
    try:
        parts = httpx.URL(url)
        makes_sense = parts.scheme in (scheme, f"{scheme}s") and parts.host and (parts.port or 1) < 1 << 16
    except (httpx.InvalidURL, ValueError):
        makes_sense = False
    if not makes_sense or any(map(str.isspace, url)):
        accepted = f"{scheme}://HOST/PATH or {scheme}s://HOST/PATH"
        raise UsageError(f"{option}: {url!r} is no URL (accepted: {accepted})")
    return url


def _account(
    anonymous: bool, jid: str | None, password_env: str | None, domain: str, environment: Mapping[str, str]
) -> Account | None:
    if anonymous:
        if jid or password_env:
            raise UsageError("--anonymous and --jid exclude each other")
        return Account(None)
    if jid is None:
        if password_env:
            raise UsageError("--password-env is for --jid")
        return None
    user, at, host = jid.partition("/")[0].rpartition("@")
    if not at or not user or host.lower() != domain.lower():
        raise UsageError(f"--jid: {jid!r} is no address of {domain} (accepted: USER@{domain})")
    if password_env is None:
        raise UsageError("--jid needs --password-env, the name of the variable with the password")
    if password_env not in environment:
        raise UsageError(f"--password-env: no variable {password_env!r} in the environment")
    return Account(user, environment[password_env])


def _selected(target: Target, only: str | None) -> list[Check]:
    transports = set()
    if target.bosh_url is not None:
        transports.add(Transport.BOSH)
    if target.ws_url is not None:
        transports.add(Transport.WEBSOCKET)
    if not transports:
        raise UsageError("nothing to examine: give --bosh, --ws or both")
    checks = applicable(all_checks(), transports)
    chosen = [check for check in checks if only is None or check.matches(only)]
    if not chosen:
        sections = ", ".join(dict.fromkeys(check.section for check in checks))
        raise UsageError(
            f"--only: no check, requirement or section has {only!r} in it (sections: {sections})"
        )
    return chosen


def _write(file: Path, report: Report) -> None:
    try:
        file.write_text(json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--json: {file}: {error.strerror}") from None
