"""Metrics: what is counted is shown, each gateway has its own, and no label is the client's to choose."""

import re

from boshgate.metrics import BOSH, WEBSOCKET, Metrics


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_integers_are_read_when_asked_for() -> None:
    metrics = Metrics()
    metrics.bosh.requests += 3
    metrics.websocket.requests += 1
    metrics.bosh.from_clients += 4
    metrics.websocket.to_clients += 5
    metrics.bosh.returned += 2
    assert sample(metrics, "boshgate_requests_total", transport=BOSH) == 3
    assert sample(metrics, "boshgate_requests_total", transport=WEBSOCKET) == 1
    assert sample(metrics, "boshgate_elements_total", transport=BOSH, direction="to_server") == 4
    assert sample(metrics, "boshgate_elements_total", transport=WEBSOCKET, direction="to_client") == 5
    assert sample(metrics, "boshgate_elements_total", transport=WEBSOCKET, direction="to_server") == 0
    assert sample(metrics, "boshgate_stanzas_returned_total", transport=BOSH) == 2


def test_two_gateways_do_not_share() -> None:
    first, second = Metrics(), Metrics()
    first.opened.labels(BOSH).inc()
    first.bosh.requests += 1
    assert sample(first, "boshgate_sessions_opened_total", transport=BOSH) == 1
    assert sample(second, "boshgate_sessions_opened_total", transport=BOSH) is None
    assert sample(second, "boshgate_requests_total", transport=BOSH) == 0


def test_every_metric_is_shown_with_its_help() -> None:
    text = Metrics().render().decode()
    for name in (
        "boshgate_requests_total",
        "boshgate_elements_total",
        "boshgate_stanzas_returned_total",
        "boshgate_sessions_opened_total",
        "boshgate_sessions_closed_total",
        "boshgate_sessions_open",
        "boshgate_refused_total",
        "boshgate_elements_dropped_total",
        "boshgate_session_seconds",
        "process_cpu_seconds_total",
        "process_open_fds",
        "python_info",
    ):
        assert f"# HELP {name} " in text
        assert f"# TYPE {name} " in text


def test_the_text_is_in_prometheus_format() -> None:
    metrics = Metrics()
    metrics.closed.labels(BOSH, "inactivity").inc()
    metrics.lifetime.labels(WEBSOCKET).observe(2)
    for line in metrics.render().decode().splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \S+ .+|[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? \S+', line), line
