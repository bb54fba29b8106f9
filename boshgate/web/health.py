"""The admin listener: is the process alive, may it be given traffic, what has it counted.

A Starlette application of its own, on ``[admin]``: none of this is reachable where browsers are.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from boshgate.backend.pool import Backends
from boshgate.metrics import Metrics
from boshgate.sessions.admission import Admission

METRICS_CONTENT = "text/plain; version=0.0.4; charset=utf-8"


def admin_app(backends: Backends, admission: Admission, metrics: Metrics) -> Starlette:
    """Serve ``/healthz``, ``/readyz`` and ``/metrics``."""

    async def healthz(_request: Request) -> Response:
        """200 as long as the event loop turns."""
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        """200 when new clients can be served: not draining, and at least one backend reachable."""
        if admission.draining:
            return PlainTextResponse("draining\n", status_code=503)
        if not await backends.reachable():
            return PlainTextResponse("no XMPP server is reachable\n", status_code=503)
        return PlainTextResponse("ready\n")

    async def show_metrics(_request: Request) -> Response:
        return Response(metrics.render(), headers={"content-type": METRICS_CONTENT})

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", show_metrics)]
    )
