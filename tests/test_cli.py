"""The command line in this process: flags, what is printed, and exit codes; nothing listens here."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import boshgate
from boshgate import cli
from boshgate.config import Config, load
from boshgate.errors import ConfigError

CONFIG = """
[server]
port = 1111
[bosh]
max_wait = 33
[[domains]]
name = "file.example"
backends = ["tcp://127.0.0.1:5222"]
[[domains]]
name = "both.example"
backends = ["tcp://127.0.0.1:5222"]
"""


@pytest.fixture(autouse=True)
def restore_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands configure the logging of the process, and read its environment."""
    names = ("", "boshgate", "uvicorn", "uvicorn.error", "websockets")
    loggers = [logging.getLogger(name) for name in names]
    state = [(logger.level, logger.handlers[:], logger.filters[:]) for logger in loggers]
    yield
    for logger, (level, handlers, filters) in zip(loggers, state, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.filters[:] = filters


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "boshgate.toml"
    path.write_text(CONFIG)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that ``serve`` was called with."""
    configs: list[Config] = []

    async def serve(config: Config, *, on_ready: Callable[[str, str], None]) -> None:
        configs.append(config)
        on_ready("http://127.0.0.1:1", "http://127.0.0.1:2")

    monkeypatch.setattr("boshgate.cli.server.serve", serve)
    return configs


def test_version() -> None:
    result = run("version")
    assert (result.exit_code, result.output) == (0, f"boshgate {boshgate.__version__}\n")


def test_without_a_command_the_help_is_shown() -> None:
    result = run()
    assert result.exit_code == 2
    for command in ("serve", "check-config", "demo", "version"):
        assert command in result.output


def test_serve_says_that_it_is_ready(served: list[Config]) -> None:
    result = run("serve", "--backend", "example.org=tcp://127.0.0.1:5222")
    assert result.exit_code == 0
    assert result.stdout == "boshgate ready: http://127.0.0.1:1 (admin http://127.0.0.1:2)\n"
    (config,) = served
    assert (config.server.host, config.server.port) == ("127.0.0.1", 5280)
    assert (config.admin.host, config.admin.port) == ("127.0.0.1", 5281)


def test_flags_win_over_environment_and_file(
    served: list[Config], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOSHGATE_SERVER__PORT", "2222")
    monkeypatch.setenv("BOSHGATE_SERVER__HOST", "::1")
    monkeypatch.setenv("BOSHGATE_BOSH__MAX_WAIT", "44")
    result = run(
        *("serve", "--config", file, "--port", 3333, "--admin-port", 0, "--log-level", "DEBUG"),
        *("--backend", "both.example=xmpp://127.0.0.2", "--backend", "flag.example=xmpps://[::1]:5223"),
        *("--backend", "flag.example=tcp://127.0.0.3:1"),
    )
    assert result.exit_code == 0, result.output
    (config,) = served
    assert (config.server.host, config.server.port, config.admin.port) == ("::1", 3333, 0)
    assert config.bosh.max_wait == 44
    assert {domain.name: [str(backend) for backend in domain.backends] for domain in config.domains} == {
        "file.example": ["tcp://127.0.0.1:5222"],
        "both.example": ["xmpp://127.0.0.2:5222"],
        "flag.example": ["xmpps://[::1]:5223", "tcp://127.0.0.3:1"],
    }
    assert logging.getLogger("boshgate").level == logging.DEBUG


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "domains: none is configured (accepted: a [[domains]] table, or --backend)"),
        (["--backend", "example.org"], "--backend: 'example.org' (accepted: DOMAIN=URI)"),
        (["--backend", "example.org=http://x"], "domains.0.backends.0: 'http://x' is not a backend address"),
        (["--backend", "a@b=tcp://x:1"], "domains.0.name: 'a@b' is not a domain name"),
        (["--port", "65536"], "server.port: "),
        (["--config", "/nonexistent.toml"], "/nonexistent.toml: No such file or directory"),
    ],
)
def test_what_cannot_be_served_is_told_and_nothing_starts(
    served: list[Config], arguments: list[str], problem: str
) -> None:
    result = run("serve", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"boshgate: {problem}")
    assert result.stderr.count("\n") == 1
    assert served == []


def test_every_problem_is_a_line(file: Path) -> None:
    file.write_text(CONFIG.replace("port = 1111", "prot = 1\nhost = 5").replace("33", "-1"))
    result = run("check-config", file)
    assert result.exit_code == 1
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "server.host",
        "server.prot",
        "bosh.max_wait",
    ]


def test_a_port_in_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(*_: object, **__: Any) -> None:
        raise ConfigError(["server.port: cannot listen on 127.0.0.1 port 1: Address already in use"])

    monkeypatch.setattr("boshgate.cli.server.serve", serve)
    result = run("serve", "--backend", "example.org=tcp://127.0.0.1:5222")
    assert result.exit_code == 1
    assert result.stderr == (
        "boshgate: server.port: cannot listen on 127.0.0.1 port 1: Address already in use\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["serve", "--log-level", "loud"], ["serve", "--port", "x"], ["serve", "--nonsense"], ["check-config"]],
)
def test_a_wrong_flag_is_a_wrong_usage(served: list[Config], arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert served == []


def test_check_config_prints_the_whole_configuration_which_can_be_loaded_again(
    file: Path, tmp_path: Path
) -> None:
    result = run("check-config", file)
    assert result.exit_code == 0
    again = tmp_path / "again.toml"
    again.write_text(result.stdout)
    assert load(again) == load(file)
    assert "max_wait = 33\n" in result.stdout
    assert "inactivity = 60\n" in result.stdout  # defaults too
    assert run("check-config", again).stdout == result.stdout


def test_check_config_looks_into_the_certificates(file: Path, tmp_path: Path) -> None:
    no_pem = tmp_path / "ca.pem"
    no_pem.write_text("no certificate")
    file.write_text(
        f'[[domains]]\nname = "x.example"\nbackends = ["xmpp://127.0.0.1"]\nca_file = "{no_pem}"\n'
    )
    result = run("check-config", file)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "ca_file" in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_command_is_installed_and_serves_until_it_is_told_to_stop() -> None:
    """The real thing once: ``python -m boshgate``, with its ready line and a clean end."""
    arguments = ["serve", "--port", "0", "--admin-port", "0", "--backend", "example.org=tcp://127.0.0.1:5222"]
    command = [sys.executable, "-m", "boshgate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.terminate()
        rest, log = process.communicate(timeout=20)
    assert ready.startswith("boshgate ready: http://127.0.0.1:")
    assert " (admin http://127.0.0.1:" in ready
    assert process.returncode == 0
    assert rest == ""
    assert log.endswith("INFO boshgate.server: stopped\n")
