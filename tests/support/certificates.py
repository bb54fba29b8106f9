"""A certificate authority made for one test run (trustme), and certificates for the domains of the tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a PEM chain and of its private key."""

    chain: Path
    key: Path


class Authority:
    """A CA whose certificate is at *ca_file*; certificates and keys are written to *directory*."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA(organization_name="boshgate tests")
        self.ca_file = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def issue(self, *names: str, file_name: str | None = None) -> CertificateFiles:
        """Write a certificate for the DNS *names* to files called after the first, or *file_name*."""
        # ejabberd sets a timer for the expiry, which cannot be the year 3000 that trustme has by default
        expiry = datetime.now(UTC) + timedelta(days=30)
        certificate = self._ca.issue_cert(*names, not_after=expiry)
        base = file_name or names[0]
        files = CertificateFiles(self._directory / f"{base}.crt", self._directory / f"{base}.key")
        files.chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(files.key))
        return files
