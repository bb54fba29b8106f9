"""The numbers a session obeys, in one frozen object that all sessions share; the shell builds it from the
configuration."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """What the connection manager grants and tolerates. Wire values are seconds, ``_ms`` are milliseconds."""

    max_wait: int = 55
    """XEP-0124 7.2: the longest ``wait`` granted; 0 makes every session a polling session (12)."""
    max_hold: int = 1
    """7.2: the highest ``hold`` granted."""
    inactivity: int = 60
    """10: ``inactivity`` of a session that does not poll."""
    max_pause: int = 120
    """10: ``maxpause``; 0: pauses are not offered, and a ``pause`` attribute is ignored."""
    polling: int = 2
    """12: ``polling``, the shortest polling interval; 0: none is announced."""
    accept: str = ""
    """7.2: the codings in which requests may come; empty: none."""
    max_streams: int = 4
    """16: streams of one session at a time; 1: no more than that one is offered, and none has a name."""
    max_pending_bytes: int = 256 << 10
    """Bytes of a stream waiting for the client above which its server is not read; a quarter is low water."""
    max_response_bytes: int = 256 << 10
    """Bytes of payload in one response; a longer queue is split between elements (never inside one)."""
    reply_ms: int = 0
    """8: how long a request that is one too many to be held may wait for the server's reply to the newest."""
    max_repeats: int = 10
    """14.3: repeats of known rids in a row, each within `repeat_ms` of the one before; more is too many."""
    repeat_ms: int = 1_000
    """14.3: a repeat later than this after the one before starts the count anew."""
    hole_ms: int = 2_000
    """14.2: how long a request with a hole below it waits in a session that grants no ``wait``."""
    report_ms: int = 1_000
    """9.2: how long after a response its absence is reported; also the shortest time between two reports."""
    max_unacknowledged_bytes: int = 1 << 20
    """9.2, 14.3: bytes of responses kept for a client that does not acknowledge them."""
    closing_ms: int = 1_000
    """13: how long the answer to ``terminate`` waits for the server's last stanzas."""
    linger_ms: int = 10_000
    """13, 14.3: how long the answers of a terminated session can still be asked for again."""

    @property
    def low_water(self) -> int:
        """Bytes of a stream waiting for the client below which the server is read again."""
        return self.max_pending_bytes // 4

    @property
    def polling_inactivity(self) -> int:
        """12: polling sessions get a higher ``inactivity``; the increase is more than ``polling``."""
        return min(self.inactivity + 3 * self.polling + 1, 65535)
