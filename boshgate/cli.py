"""The command line: ``serve``, ``demo``, ``check-config``, ``conformance``, ``version``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

import boshgate
from boshgate import logs, server
from boshgate.config import Config, effective, load
from boshgate.demo.server import USERS, DemoServer
from boshgate.errors import ConfigError
from boshgate.logs import LogLevel

app = typer.Typer(
    name="boshgate",
    help="The HTTP front door for XMPP: BOSH and WebSocket in front, any XMPP server behind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with the configuration.")]
Host = Annotated[str | None, typer.Option(help="Address of the public listener.")]
PublicPort = Annotated[int | None, typer.Option(help="Port of the public listener; 0 picks one.")]
AdminPort = Annotated[int | None, typer.Option(help="Port of the admin listener; 0 picks one.")]
BackendOptions = Annotated[
    list[str] | None,
    typer.Option("--backend", metavar="DOMAIN=URI", help="Serve DOMAIN from URI; may be repeated."),
]
Level = Annotated[LogLevel, typer.Option(help="Least severe log lines to show.", case_sensitive=False)]


def main() -> None:
    """The ``boshgate`` command."""
    app()


@app.command()
def serve(
    config: ConfigFile = None,
    host: Host = None,
    port: PublicPort = None,
    backend: BackendOptions = None,
    admin_port: AdminPort = None,
    log_level: Level = LogLevel.INFO,
) -> None:
    """Serve BOSH and WebSocket until SIGTERM."""
    logs.configure(log_level)
    try:
        flags = _flags(host, port, admin_port, backend)
        settings = load(config, flags)
        if not settings.domains:
            raise ConfigError(["domains: none is configured (accepted: a [[domains]] table, or --backend)"])
        _run(settings)
    except ConfigError as error:
        _refuse(error)


@app.command("check-config")
def check_config(file: Annotated[Path, typer.Argument(help="TOML file with the configuration.")]) -> None:
    """Print the effective configuration, or what is wrong with it."""
    try:
        settings = load(file)
        server.check(settings)
        typer.echo(effective(settings), nl=False)
    except ConfigError as error:
        _refuse(error)


@app.command()
def demo(port: PublicPort = None, admin_port: AdminPort = 0, log_level: Level = LogLevel.WARNING) -> None:
    """Start a playground: an XMPP server with three users, the gateway and the page."""
    logs.configure(log_level)
    try:
        uvloop.run(_serve_demo(_flags(None, port, admin_port, None)))
    except ConfigError as error:
        _refuse(error)


async def _serve_demo(flags: dict[str, Any]) -> None:
    """Serve the demo's XMPP server, in this process, as the only domain."""
    async with DemoServer() as xmpp_server:
        domain = {"name": xmpp_server.domain, "backends": [f"tcp://127.0.0.1:{xmpp_server.port}"]}
        settings = load(flags={**flags, "domains": [domain]})
        typer.echo(xmpp_server.banner())
        accounts = {"accounts": USERS, "password": xmpp_server.accounts.password}
        await server.serve(settings, demo=accounts, on_ready=announce)


@app.command()
def conformance(
    domain: Annotated[str, typer.Option(help="The XMPP domain that the endpoint serves.")],
    bosh: Annotated[str | None, typer.Option(metavar="URL", help="A BOSH endpoint.")] = None,
    ws: Annotated[str | None, typer.Option(metavar="URL", help="A WebSocket endpoint.")] = None,
    origin: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The domain's web site (XEP-0156); else where --bosh is."),
    ] = None,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Log in without an account.")] = False,
    jid: Annotated[str | None, typer.Option(help="Log in as this user.")] = None,
    password_env: Annotated[str | None, typer.Option(help="The variable with the password.")] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Part of a check, section or source; or a rule's id."),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results there.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what holds, too.")] = False,
) -> None:
    """Tell which rules of the standards an endpoint keeps, this gateway's or any other's."""
    from boshgate.conformance.command import conformance as examine  # noqa: PLC0415  # serving needs none of it

    status = examine(
        bosh=bosh,
        ws=ws,
        domain=domain,
        origin=origin,
        anonymous=anonymous,
        jid=jid,
        password_env=password_env,
        only=only,
        json_file=json,
        verbose=verbose,
    )
    raise typer.Exit(status)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"boshgate {boshgate.__version__}")


def announce(public: str, admin: str) -> None:
    """Say on standard output that the gateway serves."""
    typer.echo(f"boshgate ready: {public} (admin {admin})")
    sys.stdout.flush()


def _run(settings: Config) -> None:
    uvloop.run(server.serve(settings, on_ready=announce))


def _refuse(error: ConfigError) -> None:
    for problem in error.problems:
        typer.echo(f"boshgate: {problem}", err=True)
    raise typer.Exit(1)


def _flags(
    host: str | None, port: int | None, admin_port: int | None, backends: list[str] | None
) -> dict[str, Any]:
    """The configuration tables that the flags give."""
    flags: dict[str, Any] = {}
    for table, key, value in (
        ("server", "host", host),
        ("server", "port", port),
        ("admin", "port", admin_port),
    ):
        if value is not None:
            flags.setdefault(table, {})[key] = value
    domains: dict[str, list[str]] = {}
    for option in backends or []:
        domain, separator, uri = option.partition("=")
        if not separator:
            raise ConfigError([f"--backend: {option!r} (accepted: DOMAIN=URI)"])
        domains.setdefault(domain, []).append(uri)
    if domains:
        flags["domains"] = [{"name": name, "backends": uris} for name, uris in domains.items()]
    return flags
