"""Seeded bugs: proof that the properties of `test_session_stateful` bite (``python -m tests.bosh.mutants``).

Each bug is a change to the source of one module, made in memory: the modules of `boshgate.bosh` that hold
state are built anew from changed source, and the properties have to fail with the session that comes out. The
bugs are in ``mutants.diff``; where the code changes, they have to follow.
"""

import importlib
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import ModuleType
from typing import NamedTuple

from boshgate.bosh.session import Session
from tests.bosh.play import (
    ACKS,
    HOLDS,
    KEYS,
    PENDING,
    REPLY,
    RESPONSE,
    SLOW,
    STREAMS,
    WAITS,
    Play,
    Setting,
    moves,
)

MODULES = (
    "creation", "keys", "outbox", "screening", "stream", "streams", "replies", "window", "acks", "polling",
    "responder", "session",
)  # fmt: skip
"""What is built anew, in the order of its imports. Events, bodies and states stay what the tests know."""

PLAYS = 20_000
"""Plays of 50 moves after which a bug counts as not found; most need fewer than ten."""


class Mutant(NamedTuple):
    """A bug: in *module*, the lines *old* (which stand there once) become *new*."""

    name: str
    module: str
    old: str
    new: str


def read_mutants() -> list[Mutant]:
    """Read ``mutants.diff``: ``module: what goes wrong``, then the lines that go and the lines that come."""
    mutants = []
    for block in Path(__file__).with_suffix(".diff").read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = block.splitlines()
        module, name = title.split(": ", 1)
        old, new = ("".join(f"{line[1:]}\n" for line in lines if line[0] == sign) for sign in "-+")
        mutants.append(Mutant(name, module, old, new))
    return mutants


MUTANTS = read_mutants()


@contextmanager
def seeded(mutant: Mutant) -> Iterator[type[Session]]:
    """Build the session with *mutant* in it."""
    names = [f"boshgate.bosh.{module}" for module in MODULES]
    originals = {name: importlib.import_module(name) for name in names}
    try:
        for name, original in originals.items():
            assert original.__file__ is not None
            source = Path(original.__file__).read_text(encoding="utf-8")
            if name.endswith(f".{mutant.module}"):
                assert source.count(mutant.old) == 1, f"{mutant.name}: its lines are not in {name} once"
                source = source.replace(mutant.old, mutant.new)
            sys.modules[name] = module = ModuleType(name)
            module.__file__ = original.__file__
            exec(compile(source, f"<{name} with a seeded bug>", "exec"), module.__dict__)
        yield sys.modules["boshgate.bosh.session"].Session
    finally:
        sys.modules.update(originals)


def notices(session_class: type[Session], plays: int, seed: int = 0) -> str | None:
    """Play at random with *session_class*; return which property failed, None if none did."""
    dice = Random(seed)
    choices = moves()
    for _ in range(plays):
        setting = Setting(
            wait=dice.choice(WAITS), hold=dice.choice(HOLDS), pending=dice.choice(PENDING),
            response=dice.choice(RESPONSE), reply=dice.choice(REPLY), slow=dice.choice(SLOW),
            keys=dice.choice(KEYS), acks=dice.choice(ACKS), streams=dice.choice(STREAMS),
        )  # fmt: skip
        try:
            play = Play(session_class, setting)
            for move in dice.choices(choices, k=50):
                play.do(move)
            play.conclude()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1].name
            return f"{type(error).__name__}: {error}" if str(error) else f"{type(error).__name__} in {where}"
    return None


def main() -> int:
    """Print a table of all mutants; the status is how many survived."""
    survivors = 0
    for mutant in MUTANTS:
        start = time.perf_counter()
        with seeded(mutant) as session_class:
            noticed = notices(session_class, PLAYS)
        survivors += noticed is None
        print(f"{time.perf_counter() - start:5.1f} s  {mutant.name:65} {noticed or 'SURVIVED'}", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} seeded bugs were noticed")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
