"""The TLS settings of the gateway as a client of XMPP servers, made once for each domain.

They leave nothing to choose but the authorities: there is no "do not verify", and no client certificate (with
one, every web client could authenticate as the gateway by SASL EXTERNAL).
"""

import ssl
from pathlib import Path
from typing import Final

ALPN: Final = "xmpp-client"
"""XEP-0368 section 3: the protocol name of a client-to-server stream that begins with TLS."""


def client_context(ca_file: Path | None, *, alpn: bool) -> ssl.SSLContext:
    """A context that verifies the server's certificate against *ca_file*, or the system's authorities.

    *alpn*: offer ``xmpp-client`` (direct TLS only, XEP-0368 section 3). Python compares the DNS-IDs of the
    certificate (RFC 6120 section 13.7.2) with the name that the connection is asked to check: a certificate
    with nothing but SRV-ID or XmppAddr names is refused. Raises OSError if *ca_file* holds no certificates.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 7590 section 3.4, RFC 9325 section 3.1.1
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # RFC 7590 section 3.3
    context.hostname_checks_common_name = False  # RFC 9525 section 2: a common name is no identity
    if alpn:
        context.set_alpn_protocols([ALPN])
    return context
