"""Who may open a session now, and to where: limits, the state of shutdown, and the domains that are served.

One object for the process, asked by both transports.
"""

from collections import Counter
from collections.abc import Callable

from boshgate.backend.pool import Backends
from boshgate.config import LimitsTable, to_ascii
from boshgate.errors import BindingError


def check_domain(backends: Backends, to: str | None) -> str:
    """Return the domain of *backends* that *to* names, folded; both transports have the same conditions.

    Raises BindingError improper-addressing, host-gone or host-unknown (XEP-0124 17.2, RFC 6120 4.9.3.5 to 7).
    """
    if not to:
        raise BindingError("improper-addressing", "no domain in 'to'")
    try:
        domain = to_ascii(to)
    except ValueError:
        raise BindingError("improper-addressing", "'to' is not a domain name") from None
    if domain in backends.former_domains:
        raise BindingError("host-gone", "'to' is a domain that is served here no longer")
    if not backends.serves(domain):
        raise BindingError("host-unknown", "'to' is not a domain that is served here")
    return domain


class Admission:
    """Counts open sessions; a refused one is told the condition that fits (XEP-0124 section 17.2).

    *unauthenticated* counts the streams whose client has not authenticated yet.
    """

    def __init__(self, limits: LimitsTable, unauthenticated: Callable[[], int] = lambda: 0) -> None:
        self._unauthenticated = unauthenticated
        self._max_unauthenticated = limits.max_unauthenticated
        self._max_sessions = limits.max_sessions
        self._max_per_address = limits.max_sessions_per_address
        self._by_address: Counter[str] = Counter()
        self.open = 0
        """Sessions that were admitted and not yet released."""
        self.draining = False
        """Set at shutdown: from then on nobody is admitted."""

    def refusal(self, address: str) -> tuple[str, str] | None:
        """Why a client at *address* may not open a session now: condition and reason; None: it may."""
        if self.draining:
            return "system-shutdown", "the gateway is shutting down"
        if self.open >= self._max_sessions:
            return "policy-violation", f"limits.max_sessions ({self._max_sessions}) reached"
        if self._max_per_address and self._by_address[address] >= self._max_per_address:
            return "policy-violation", f"limits.max_sessions_per_address ({self._max_per_address}) reached"
        if self._unauthenticated() >= self._max_unauthenticated:
            return "policy-violation", f"limits.max_unauthenticated ({self._max_unauthenticated}) reached"
        return None

    def admit(self, address: str) -> None:
        """Count a session of *address* as open; every call is matched by one of `release`."""
        self.open += 1
        if self._max_per_address:
            self._by_address[address] += 1

    def release(self, address: str) -> None:
        """The session is over."""
        self.open -= 1
        if self._max_per_address:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
