"""Every counter, gauge and histogram of the process, in one place (Prometheus text format).

What happens once for a session is a Prometheus metric. What happens once for a request or a stanza is a
plain integer here, and read when ``/metrics`` is asked for: an increment then costs nothing.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

BOSH = "bosh"
WEBSOCKET = "websocket"


class Tally:
    """Plain integers for what happens often; one object for each transport."""

    __slots__ = ("from_clients", "requests", "returned", "to_clients", "transport")

    def __init__(self, transport: str) -> None:
        self.transport = transport
        self.requests = 0
        """BOSH requests, or WebSocket messages, received."""
        self.from_clients = 0
        """First-level elements forwarded to XMPP servers."""
        self.to_clients = 0
        """First-level elements handed to clients."""
        self.returned = 0
        """Stanzas answered with an error for a client that was gone (XEP-0206 section 7)."""


class _Tallies(Collector):
    def __init__(self, tallies: tuple[Tally, ...]) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "boshgate_requests", "BOSH requests or WebSocket messages received.", labels=["transport"]
        )
        elements = CounterMetricFamily(
            "boshgate_elements",
            "First-level XML elements (stanzas and others) passed on.",
            labels=["transport", "direction"],
        )
        returned = CounterMetricFamily(
            "boshgate_stanzas_returned",
            "Stanzas answered with an error because their client was gone.",
            labels=["transport"],
        )
        for tally in self._tallies:
            returned.add_metric([tally.transport], tally.returned)
            requests.add_metric([tally.transport], tally.requests)
            elements.add_metric([tally.transport, "to_server"], tally.from_clients)
            elements.add_metric([tally.transport, "to_client"], tally.to_clients)
        return [requests, elements, returned]


class Metrics:
    """The metrics of one gateway; each has its own registry, so that tests can run several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.bosh = Tally(BOSH)
        self.websocket = Tally(WEBSOCKET)
        self.registry.register(_Tallies((self.bosh, self.websocket)))
        self.opened = Counter(
            "boshgate_sessions_opened", "Client sessions opened.", ["transport"], registry=self.registry
        )
        self.closed = Counter(
            "boshgate_sessions_closed",
            "Client sessions ended, by the reason.",
            ["transport", "reason"],
            registry=self.registry,
        )
        self.open = Gauge(
            "boshgate_sessions_open", "Client sessions open now.", ["transport"], registry=self.registry
        )
        self.refused = Counter(
            "boshgate_refused",
            "Requests and handshakes refused, by condition or HTTP status.",
            ["transport", "condition"],
            registry=self.registry,
        )
        self.dropped = Counter(
            "boshgate_elements_dropped",
            "First-level XML elements that reached nobody, by direction and reason.",
            ["direction", "reason"],
            registry=self.registry,
        )
        self.lifetime = Histogram(
            "boshgate_session_seconds",
            "How long client sessions lasted.",
            ["transport"],
            buckets=(1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600),
            registry=self.registry,
        )

    def render(self) -> bytes:
        """The current values in the Prometheus text format."""
        return generate_latest(self.registry)
