"""The TLS settings towards servers (RFC 7590)."""

import ssl
from pathlib import Path

import pytest

from boshgate.backend.tls import client_context
from tests.backend.conftest import Pki


@pytest.mark.rule("N8", "N13")
def test_certificates_are_always_verified_and_old_tls_is_off(pki: Pki) -> None:
    for context in (client_context(pki.ca_file, alpn=True), client_context(None, alpn=False)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert not context.hostname_checks_common_name
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_ca_file_stands_in_for_the_authorities_of_the_system(pki: Pki) -> None:
    assert len(client_context(pki.ca_file, alpn=False).get_ca_certs()) == 1


def test_a_ca_file_without_certificates_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        client_context(tmp_path / "ca.pem", alpn=False)
