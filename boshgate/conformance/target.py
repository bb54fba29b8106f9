"""What is examined, and as whom."""

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in; *user* None is an anonymous login."""

    user: str | None
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """The endpoints of one service; either may be absent."""

    bosh_url: str | None
    ws_url: str | None
    domain: str
    account: Account | None = None
    patience: float = 12.0
    """Seconds after which an answer that should have come at once is given up."""
    settle: float = 0.15
    """Seconds after which what was sent has arrived; longer where the way is long."""
    pace: float = 1.0
    """How many times as long as usual "at once" may take."""
    origin_url: str | None = None
    """Where the domain's web site is, if not where BOSH is."""
    delivers: bool = True
    """Whether the server delivers a message to oneself."""
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
