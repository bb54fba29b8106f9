"""Port numbers for programs that must be told one, away from the range the system gives to other sockets."""

import random
import socket
from pathlib import Path

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """Return a loopback TCP port nobody listens on.

    Ports from bind(0) are also given to outgoing connections, so one that was let go may be taken before
    the server has bound it. Numbers below that range are only ever taken by name.
    """
    first_ephemeral = int(_RANGE_FILE.read_text().split()[0]) if _RANGE_FILE.exists() else 32768
    for _ in range(100):
        port = random.randrange(max(10000, first_ephemeral - 20000), first_ephemeral)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port found in 100 attempts")
