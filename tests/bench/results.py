"""The arithmetic of the benchmark: medians with their spread, ratios, and the targets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.bench.cases import Case, Sample, Transport

BOSHGATE = "boshgate"
PROSODY = "prosody"
PLAIN_TCP = Case(PROSODY, Transport.TCP)


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with the lowest and highest value it comes from."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Figure":
        """Raises ValueError when there is no value."""
        known = sorted(values)
        if not known:
            raise ValueError("no values")
        return cls(median(known), known[0], known[-1])

    def show(self, digits: int = 0) -> str:
        """Return the median with *digits* decimals, and the spread where there is one."""
        if self.low == self.high:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that the project holds itself to: at most `limit`."""

    name: str
    unit: str
    limit: float
    value: Figure | None

    @property
    def holds(self) -> bool:
        return self.value is not None and self.value.value <= self.limit


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured: samples in the order of the rounds, and bytes per idle session."""

    samples: Mapping[Case, Sequence[Sample]]
    idle: Mapping[Case, Sequence[float]] = field(default_factory=dict)

    def cpu(self, case: Case, server: str) -> Figure | None:
        """CPU microseconds of *server* per round trip in *case*."""
        return figure_or_none(
            sample.cpu_us[server] for sample in self.samples.get(case, ()) if server in sample.cpu_us
        )

    def added(self, transport: Transport) -> Figure | None:
        """CPU microseconds that Prosody's own *transport* adds to plain TCP."""
        return self._by_round(lambda _, own, tcp: own - tcp, transport)

    def ratio(self, transport: Transport) -> Figure | None:
        """boshgate's own CPU per round trip divided by what Prosody's own *transport* adds to plain TCP.

        The value is made of medians, the spread of the single rounds.
        """
        mine, added = self.cpu(Case(BOSHGATE, transport), BOSHGATE), self.added(transport)
        rounds = self._by_round(lambda gate, own, tcp: gate / (own - tcp), transport, with_boshgate=True)
        if mine is None or added is None or rounds is None or added.value <= 0:
            return None
        return Figure(mine.value / added.value, rounds.low, rounds.high)

    @property
    def others(self) -> float:
        """The median part of the machine's CPU that others used, 0 to 1."""
        return median([sample.others for samples in self.samples.values() for sample in samples] or [0.0])

    def bytes_per_session(self, case: Case) -> Figure | None:
        return figure_or_none(self.idle.get(case, ()))

    def targets(self) -> list[Target]:
        """The project's targets (BOSH with a request held, as browsers have it)."""
        kilobytes = {
            transport: scaled(self.bytes_per_session(Case(BOSHGATE, transport)), 1e-3)
            for transport in (Transport.BOSH, Transport.WEBSOCKET)
        }
        of_bosh, of_websocket = "of what Prosody's BOSH adds", "of what Prosody's WebSocket adds"
        return [
            Target("CPU per BOSH round trip", of_bosh, 0.4, self.ratio(Transport.BOSH)),
            Target("CPU per BOSH round trip, eager client", of_bosh, 0.4, self.ratio(Transport.BOSH_EAGER)),
            Target("CPU per WebSocket round trip", of_websocket, 0.6, self.ratio(Transport.WEBSOCKET)),
            Target("memory per idle BOSH session", "kB", 20, kilobytes[Transport.BOSH]),
            Target("memory per idle WebSocket session", "kB", 28, kilobytes[Transport.WEBSOCKET]),
        ]

    def _by_round(
        self,
        combine: Callable[[float, float, float], float],
        transport: Transport,
        *,
        with_boshgate: bool = False,
    ) -> Figure | None:
        """Combine boshgate's, Prosody's and plain TCP's CPU of each round."""
        own, tcp = self.samples.get(Case(PROSODY, transport), ()), self.samples.get(PLAIN_TCP, ())
        gate = self.samples.get(Case(BOSHGATE, transport), ())
        if with_boshgate:
            rounds = list(zip([s.cpu_us[BOSHGATE] for s in gate], own, tcp, strict=False))
        else:
            rounds = list(zip([0.0] * len(own), own, tcp, strict=False))
        cpu = [(mine, a.cpu_us[PROSODY], b.cpu_us[PROSODY]) for mine, a, b in rounds]
        return figure_or_none(combine(mine, a, b) for mine, a, b in cpu if a != b)


def figure_or_none(values: Iterable[float]) -> Figure | None:
    known = list(values)
    return Figure.of(known) if known else None


def scaled(figure: Figure | None, factor: float) -> Figure | None:
    return figure and Figure(figure.value * factor, figure.low * factor, figure.high * factor)
