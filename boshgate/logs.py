"""Log lines: one format, the session's name in front, nothing secret at any level.

A line is ``time level logger: [session] text``. Payloads are never logged: they may hold passwords and SASL
data. A session is named by the first eight characters of its sid, which are of no use to anybody else.
"""

import enum
import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any


class LogLevel(enum.StrEnum):
    """The levels of ``--log-level``."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_Adapter = logging.LoggerAdapter[logging.Logger]


class SessionLogger(_Adapter):
    """Puts ``[name]`` in front of each line of one session."""

    def __init__(self, logger: logging.Logger, name: str) -> None:
        super().__init__(logger, {})
        self.name_ = name

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Prefix *msg*."""
        return f"[{self.name_}] {msg}", kwargs


def short(sid: str) -> str:
    """The part of *sid* that may be shown (XEP-0124 section 19.3: the rest is the session's key)."""
    return sid[:8]


class _UtcFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class _Expected(logging.Filter):
    """Drops what uvicorn reports as errors of the application, and what is the doing of clients.

    There is a line of ours for each: a handshake that was refused, a message that is not UTF-8.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep *record*."""
        if record.msg == "ASGI callable returned without completing handshake.":
            return False
        return not (record.exc_info and isinstance(record.exc_info[1], UnicodeDecodeError))


def configure(level: LogLevel) -> None:
    """Send all log lines of *level* and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_UtcFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("boshgate").setLevel(level.upper())
    # The HTTP server's own lines: one for every WebSocket at info, none that an operator needs.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").filters[:] = [_Expected()]
    # It logs whole frames at debug, payloads included.
    logging.getLogger("websockets").setLevel(logging.WARNING)
