"""Who may import whom: the layers of boshgate, and what the pure packages must not know of.

The rule, from the inside out: the pure packages know no clock, socket, loop, randomness or environment; the
packages around them know those further in, and nobody knows those further out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import boshgate

PACKAGE = Path(boshgate.__file__).parent
BASE = {"errors", "namespaces", ""}
"""What everybody may import; "" is the package itself, for its version."""

ALLOWED = {
    "errors": set(),
    "namespaces": set(),
    "config": BASE,
    "logs": BASE,
    "metrics": BASE,
    "xmpp": BASE | {"xmpp"},
    "bosh": BASE | {"bosh", "xmpp"},
    "backend": BASE | {"backend", "xmpp", "config", "logs", "metrics"},
    "sessions": BASE | {"sessions", "bosh", "backend", "xmpp", "config", "logs", "metrics"},
    "web": BASE | {"web", "sessions", "bosh", "backend", "xmpp", "config", "logs", "metrics"},
    "demo": BASE | {"demo", "xmpp"},
    "listener": BASE | {"web", "config", "logs", "metrics"},
    "server": BASE | {"listener", "web", "config", "logs"},
    "conformance": BASE | {"conformance", "logs"},
    "cli": BASE | {"server", "demo", "conformance", "config", "logs"},
    "__init__": BASE,
    "__main__": {"cli"},
}

PURE = {"xmpp", "bosh"}
IMPURE = {"asyncio", "socket", "ssl", "time", "random", "secrets", "os", "threading", "select", "datetime"}
OUTSIDE_ONLY_IN = {
    "starlette": {"web"},
    "uvicorn": {"server", "listener"},
    "uvloop": {"cli"},
    "httpx": {"web", "conformance"},
    "websockets": {"conformance"},
    "rich": {"conformance"},
    "typer": {"cli"},
    "prometheus_client": {"metrics"},
    "pydantic": {"config"},
    "pydantic_settings": {"config"},
    "ssl": {"backend", "web", "conformance"},
    "xml": {"xmpp", "demo", "conformance"},
    "lxml": {"web", "conformance"},
}
"""Libraries that have one place."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """The package or module below ``boshgate`` that *module* belongs to."""
    return [*module.split("."), ""][1]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            # `from boshgate import logs` names a module, `from boshgate.logs import short` does not.
            if node.module == "boshgate":
                yield from (f"boshgate.{alias.name}" for alias in node.names)
            else:
                yield node.module


def owner(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_imports_outwards(path: Path) -> None:
    for module in imports(path):
        if module.split(".")[0] == "boshgate":
            assert part(module) in ALLOWED[owner(path)], f"{path} imports {module}"


@pytest.mark.parametrize("path", [p for p in MODULES if owner(p) in PURE], ids=lambda path: path.stem)
def test_the_pure_packages_know_nothing_of_the_world(path: Path) -> None:
    assert not {module.split(".")[0] for module in imports(path)} & IMPURE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_has_one_place(path: Path) -> None:
    for module in imports(path):
        library = module.split(".")[0]
        assert owner(path) in OUTSIDE_ONLY_IN.get(library, {owner(path)}), f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_fits_one_sentence(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 450
