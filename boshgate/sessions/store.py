"""All BOSH sessions of this process: found by sid, made within the limits, ended together at shutdown."""

import asyncio
import logging
import secrets
from typing import Final

from boshgate.backend.pool import Backends
from boshgate.bosh.body import Body
from boshgate.bosh.events import SessionTerminated
from boshgate.bosh.policy import SessionPolicy
from boshgate.bosh.session import Session
from boshgate.config import Config
from boshgate.errors import BindingError
from boshgate.logs import SessionLogger, short
from boshgate.metrics import BOSH, Metrics
from boshgate.sessions.admission import Admission, check_domain
from boshgate.sessions.runner import Exchange, Runner

SID_BYTES: Final = 24
"""XEP-0124 section 19.3: a sid is unpredictable; at least 128 bits are asked for, these are 192."""

NAME_BYTES: Final = 12
"""XEP-0124 section 16.2: the name of a stream is unpredictable too; it is of no use without the sid."""

ACCEPT: Final = "gzip,deflate"
"""XEP-0124 section 7.2: the codings in which requests may come."""

REPLY_MS: Final = 10
"""What a server nearby takes to reply, with room to spare; nobody notices a request held that much longer."""

logger = logging.getLogger("boshgate.bosh")


def policy_of(config: Config) -> SessionPolicy:
    """The numbers that the pure session works with, from the configuration."""
    return SessionPolicy(
        max_wait=config.bosh.max_wait,
        max_hold=config.bosh.max_hold,
        inactivity=config.bosh.inactivity,
        max_pause=config.bosh.max_pause,
        polling=config.bosh.polling,
        max_pending_bytes=config.limits.max_pending_bytes,
        reply_ms=REPLY_MS,
        accept=ACCEPT,
        max_streams=config.bosh.max_streams,
    )


def _new_name() -> str:
    return secrets.token_urlsafe(NAME_BYTES)


class Sessions:
    """The store of runners, by sid."""

    def __init__(self, config: Config, backends: Backends, admission: Admission, metrics: Metrics) -> None:
        self._policy = policy_of(config)
        self._backends = backends
        self._admission = admission
        self._metrics = metrics
        self._runners: dict[str, Runner] = {}
        self._opened = metrics.opened.labels(BOSH)
        self._open = metrics.open.labels(BOSH)
        self._lifetime = metrics.lifetime.labels(BOSH)

    def __len__(self) -> int:
        return len(self._runners)

    def find(self, sid: str) -> Runner:
        """The session named *sid*; raises BindingError item-not-found (XEP-0124 section 17.2)."""
        try:
            return self._runners[sid]
        except KeyError:
            raise BindingError("item-not-found", "unknown sid") from None

    def create(self, exchange: Exchange, request: Body, *, address: str, secure: bool) -> Runner:
        """Make a session for the creation *request* (XEP-0124 section 7.1).

        Raises BindingError: no such domain here, bad attributes, no room, or shutting down.
        """
        check_domain(self._backends, request.to)
        if (refusal := self._admission.refusal(address)) is not None:
            raise BindingError(*refusal)
        sid = secrets.token_urlsafe(SID_BYTES)
        loop = asyncio.get_running_loop()
        session = Session(sid, _new_name, exchange, request, self._policy, int(loop.time() * 1000))
        runner = Runner(
            session,
            backends=self._backends,
            admission=self._admission,
            log=SessionLogger(logger, short(sid)),
            tally=self._metrics.bosh,
            address=address,
            secure=secure,
            on_end=self._ended,
        )
        self._runners[sid] = runner
        self._admission.admit(address)
        self._opened.inc()
        self._open.inc()
        runner.log.info("opened for %s by %s", request.to, address)
        runner.start()
        return runner

    def _ended(self, runner: Runner, event: SessionTerminated) -> None:
        session = runner.session
        del self._runners[session.sid]
        self._admission.release(runner.address)
        seconds = (runner.now() - runner.opened_at) / 1000
        reason = event.condition or event.reason
        self._metrics.closed.labels(BOSH, reason).inc()
        self._open.dec()
        self._lifetime.observe(seconds)
        for direction, count in (("to_client", event.undelivered), ("to_server", event.discarded)):
            if count:
                self._metrics.dropped.labels(direction, "session ended").inc(count)
        runner.log.info(
            "closed after %.1f s: %s (undelivered %d, discarded %d)",
            seconds,
            event.reason,
            event.undelivered,
            event.discarded,
        )

    def expire_all(self) -> None:
        """Forget what is left after `terminate_all`, each with its line in the log."""
        for runner in list(self._runners.values()):
            runner.expire()

    def terminate_all(self, condition: str) -> None:
        """End every session: held requests are answered now, others with their next request (SM7)."""
        for runner in list(self._runners.values()):
            runner.terminate(condition)
