"""What the tests and the bench need of an XMPP server, whichever it is."""

from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.support.certificates import Authority, CertificateFiles
from tests.support.ports import free_port
from tests.support.process import Child, accepts

DOMAIN = "localhost"
"""Clients may log in here without TLS."""

TLS_DOMAIN = "tls.example"
"""TLS is required here, and the certificate fits."""

DIRECT_DOMAIN = "direct.example"
"""As TLS_DOMAIN; the gateway of the tests reaches it by direct TLS (XEP-0368)."""

WRONG_DOMAIN = "wrong.example"
"""TLS is required here, and the certificate is for ``other.example``."""

CHAT_DOMAIN = "chat.example"
"""As DOMAIN, with what a public server offers besides: see XmppServer."""

ROOMS = f"rooms.{CHAT_DOMAIN}"
"""Multi-user chat (XEP-0045)."""

UPLOADS = f"upload.{CHAT_DOMAIN}"
"""HTTP upload (XEP-0363)."""

TRANSPORT = "pigeons.example"
"""The external component (XEP-0114) that may connect to ``component_port`` with COMPONENT_SECRET.

Below CHAT_DOMAIN Prosody would name it among the items of that, also while nobody is there to answer.
"""

COMPONENT_SECRET = "gateway-to-elsewhere"

UPLOAD_LIMIT = 1_000_000
"""Bytes of the largest file that UPLOADS takes."""

USERS = ("alice", "bob", "carol")
GUESTS = tuple(f"guest{number}" for number in range(1, 301))
"""Further users, for tests that want somebody as whom nobody else has logged in."""

PASSWORD = "correct-horse-7"


class XmppServer:
    """A running server: users alice, bob and carol on every domain, with PASSWORD.

    ``plain_port``: c2s without TLS for DOMAIN; ``starttls_port``: c2s where TLS_DOMAIN and WRONG_DOMAIN
    demand STARTTLS; ``direct_tls_port``: c2s with TLS from the first byte; ``bosh_url`` and
    ``websocket_url``: its own. CHAT_DOMAIN alone keeps messages for those who are offline, archives them,
    lets anybody register, and has ROOMS, UPLOADS and a place for TRANSPORT. Nothing is started before
    ``start()`` or entering the context.
    """

    name: ClassVar[str]

    def __init__(self, directory: Path, authority: Authority | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.authority = authority or Authority(directory / "ca")
        self.certificates: dict[str, CertificateFiles] = {
            DOMAIN: self.authority.issue(DOMAIN),
            CHAT_DOMAIN: self.authority.issue(CHAT_DOMAIN),
            TLS_DOMAIN: self.authority.issue(TLS_DOMAIN),
            DIRECT_DOMAIN: self.authority.issue(DIRECT_DOMAIN),
            WRONG_DOMAIN: self.authority.issue("other.example"),
        }
        self.plain_port = free_port()
        self.starttls_port = self.plain_port
        self.direct_tls_port = free_port()
        self.http_port = free_port()
        self.component_port = free_port()
        self.bosh_url = f"http://127.0.0.1:{self.http_port}/http-bind"
        self.websocket_url = f"ws://127.0.0.1:{self.http_port}/xmpp-websocket"
        self._child: Child | None = None
        self._guests = iter(GUESTS)

    def new_user(self) -> str:
        """Return the name of a user (on every domain, with PASSWORD) who was not used in this run."""
        name = next(self._guests, None)
        assert name is not None, "this run needs more GUESTS"
        return name

    @property
    def pid(self) -> int:
        """The process whose CPU and memory are the server's."""
        return self.child.pid

    @property
    def child(self) -> Child:
        assert self._child is not None, "start() comes first"
        return self._child

    @property
    def ports(self) -> set[int]:
        return {
            self.plain_port,
            self.starttls_port,
            self.direct_tls_port,
            self.http_port,
            self.component_port,
        }

    def start(self) -> Self:
        """Start the server and return when it is ready to log in a user on every port."""
        child = self._launch()
        self._child = child
        try:
            child.wait_until(
                lambda: self._is_ready() and all(accepts(port) for port in self.ports), timeout=45
            )
        except BaseException:
            child.kill()
            raise
        return self

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def log(self) -> str:
        """Return what the server logged so far, for the report of a failed test."""
        return self.child.describe("log")

    def _launch(self) -> Child:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
