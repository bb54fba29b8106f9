"""What a check is: a rule with its source, a coroutine that tries it, and three ways in which it can end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from boshgate.conformance.kit import Kit

Run = Callable[["Kit"], Awaitable[str]]
"""Tries the rule: returns what was seen where it holds, raises `Fails` or `NotOffered` otherwise."""


class Outcome(Enum):
    """How a check ended."""

    OK = "ok"
    FAILS = "fails"
    NOT_OFFERED = "not offered"


class Transport(Enum):
    """What a check is about; it is run where the endpoint is given."""

    BOSH = "bosh"
    WEBSOCKET = "websocket"


class Level(Enum):
    """How strongly the rule is worded where it is written."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"
    PRACTICE = "practice"
    """No standard says so; browsers, real clients or attackers do."""


class Fails(Exception):
    """The rule is broken; the text says what was seen instead."""


class Unanswered(Fails):
    """Nothing came in all the time that an endpoint is given: to try again would take as long."""


class NotOffered(Exception):
    """An optional part that is not announced, or that cannot be tried here; the text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: *requirements* are its ids in boshgate's list, *source* is the standard and its section."""

    name: str
    section: str
    transport: Transport
    level: Level
    requirements: tuple[str, ...]
    source: str
    rule: str
    run: Run
    login: bool

    def matches(self, pattern: str) -> bool:
        """Whether *pattern* is its requirement, its name, or a part of its name, section or source."""
        words = pattern.casefold()
        if any(words == requirement.casefold() for requirement in self.requirements):
            return True
        return any(words in text.casefold() for text in (self.name, self.section, self.source))


_register: list[Check] = []


def registered() -> list[Check]:
    """Every check that was declared so far."""
    return list(_register)


class Section:
    """Declares the checks of one section: ``@section.must("R5", "XEP-0124 14.3")`` above a coroutine.

    The coroutine's name is the check's, its docstring is the rule. With ``login=True`` it needs an account.
    """

    def __init__(self, name: str, transport: Transport, *, prefix: str) -> None:
        self._name = name
        self._transport = transport
        self._prefix = prefix

    def must(self, requirements: str, source: str, *, login: bool = False) -> Callable[[Run], Run]:
        """A rule that the standard words as MUST."""
        return self._declare(Level.MUST, requirements, source, login)

    def should(self, requirements: str, source: str, *, login: bool = False) -> Callable[[Run], Run]:
        """A rule that the standard words as SHOULD."""
        return self._declare(Level.SHOULD, requirements, source, login)

    def may(self, requirements: str, source: str, *, login: bool = False) -> Callable[[Run], Run]:
        """How an optional part looks where it is there."""
        return self._declare(Level.MAY, requirements, source, login)

    def practice(self, requirements: str, source: str, *, login: bool = False) -> Callable[[Run], Run]:
        """A rule that real clients, browsers or attackers taught."""
        return self._declare(Level.PRACTICE, requirements, source, login)

    def _declare(self, level: Level, requirements: str, source: str, login: bool) -> Callable[[Run], Run]:
        def declare(run: Run) -> Run:
            name: str = getattr(run, "__name__", "")
            rule = " ".join((run.__doc__ or "").split())
            assert rule, f"{name} does not say its rule"
            ids = tuple(requirements.split())
            full_name = f"{self._prefix}.{name}"
            assert all(check.name != full_name for check in _register), f"{full_name} is there twice"
            _register.append(
                Check(full_name, self._name, self._transport, level, ids, source, rule, run, login)
            )
            return run

        return declare


def fail(reason: str) -> NoReturn:
    """The rule is broken."""
    raise Fails(reason)


def expect(holds: object, reason: str) -> None:
    """The rule is broken unless *holds*."""
    if not holds:
        raise Fails(reason)


def offered(found: object, reason: str) -> None:
    """The optional part is not there unless *found*."""
    if not found:
        raise NotOffered(reason)
