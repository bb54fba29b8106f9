"""Discovery behind nginx with TLS, beside another application, with the configuration of the README."""

import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from boshgate.config import load
from tests.support.certificates import Authority, CertificateFiles
from tests.support.nginx import DISCOVERY, DiscoveryNginx
from tests.support.ports import free_port
from tests.support.requirements import MissingProgramError, skip_or_fail
from tests.web.front import running
from tests.web.otherweb import LRDD, other_web

pytestmark = pytest.mark.integration

DOMAIN = "example.org"
README = Path(__file__).parent.parent.parent / "README.md"


def test_readme_shows_the_configuration_that_is_tested() -> None:
    assert DISCOVERY.read_text().strip() in README.read_text()


@pytest.mark.rule("D4", "D5", "D7")
async def test_host_meta_behind_nginx(tmp_path: Path, authority: Authority) -> None:
    upstream_port = free_port()
    domain = {
        "name": DOMAIN,
        "backends": ["tcp://127.0.0.1:1"],
        "host_meta_upstream": f"http://127.0.0.1:{upstream_port}/.well-known/host-meta",
    }
    config = load(flags={"server": {"public_url": "https://chat.example.org"}, "domains": [domain]})
    certificate: CertificateFiles = authority.issue(DOMAIN, file_name="discovery")
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    async with other_web() as application, running(config) as front, AsyncExitStack() as stack:
        target = f"http://127.0.0.1:{front.port}"
        nginx = DiscoveryNginx(tmp_path, target, certificate, upstream_port, application.port)
        try:
            stack.enter_context(nginx)
        except MissingProgramError as error:
            skip_or_fail(str(error))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, verify=context))
        for path in ("host-meta", "host-meta.json"):
            answer = await http.get(
                f"https://127.0.0.1:{nginx.port}/.well-known/{path}",
                headers={"Host": DOMAIN, "Origin": "https://other.example"},
                extensions={"sni_hostname": DOMAIN},
            )
            assert answer.status_code == 200
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]
            for address in ("https://chat.example.org/http-bind", "wss://chat.example.org/xmpp-websocket"):
                assert address in answer.text
            assert LRDD in answer.text
        (head,) = application.heads
        assert "\r\nHost: example.org\r\n" in head
