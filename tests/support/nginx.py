"""nginx in front of the gateway, with the very configuration that the README recommends."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.certificates import CertificateFiles
from tests.support.ports import free_port
from tests.support.process import Child, accepts
from tests.support.requirements import find_program

SNIPPET = Path(__file__).parent.parent / "integration" / "nginx-boshgate.conf"
DISCOVERY = SNIPPET.with_name("nginx-discovery.conf")

_AROUND = """
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {snippet}
}}
"""


class Nginx:
    """A proxy on a loopback port for the gateway at *target*, e.g. ``http://127.0.0.1:5280``."""

    _snippet = SNIPPET

    def __init__(self, directory: Path, target: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.bosh_url = f"http://127.0.0.1:{self.port}/http-bind"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/xmpp-websocket"
        self._target = urlsplit(target).netloc
        self._child: Child | None = None

    def __enter__(self) -> Self:
        program = find_program("nginx", package="nginx-light")
        configuration = self.directory / "nginx.conf"
        configuration.write_text(self._configuration())
        argv = [program, "-p", str(self.directory), "-c", str(configuration), "-e", "stderr"]
        self._child = Child("nginx", argv, directory=self.directory)
        try:
            self._child.wait_until(lambda: accepts(self.port))
        except BaseException:
            self._child.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.stop()

    def log(self) -> str:
        return self._child.describe("log") if self._child is not None else ""

    def _configuration(self) -> str:
        """Put the snippet where it belongs, with the ports of this run in place of its own."""
        snippet = self._snippet.read_text()
        for written, wanted in self._replacements().items():
            assert snippet.count(written) == 1, f"{self._snippet.name} has no single {written!r}"
            snippet = snippet.replace(written, wanted)
        user = "user root;" if os.geteuid() == 0 else ""  # its files are in a directory of our own
        return _AROUND.format(directory=self.directory, snippet=snippet, user=user)

    def _replacements(self) -> dict[str, str]:
        return {
            "server 127.0.0.1:5280;": f"server {self._target};",
            "listen 80;": f"listen 127.0.0.1:{self.port};",
        }


class DiscoveryNginx(Nginx):
    """nginx with TLS at an XMPP domain's own origin, and before another application at *application_port*."""

    _snippet = DISCOVERY

    def __init__(
        self,
        directory: Path,
        target: str,
        certificate: CertificateFiles,
        upstream_port: int,
        application_port: int,
    ) -> None:
        super().__init__(directory, target)
        self._certificate = certificate
        self._upstream_port = upstream_port
        self._application_port = application_port

    def _replacements(self) -> dict[str, str]:
        return {
            "http://127.0.0.1:5280;": f"http://{self._target};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
            "listen 127.0.0.1:8081;": f"listen 127.0.0.1:{self._upstream_port};",
            "http://127.0.0.1:3000;": f"http://127.0.0.1:{self._application_port};",
            "/etc/ssl/example.org.crt": str(self._certificate.chain),
            "/etc/ssl/example.org.key": str(self._certificate.key),
        }
