"""The XML namespaces on the wire, one constant each, with the document that defines it."""

from typing import Final

HTTPBIND: Final = "http://jabber.org/protocol/httpbind"
"""XEP-0124 section 6: the ``<body/>`` wrapper and every unprefixed BOSH attribute's element."""

XBOSH: Final = "urn:xmpp:xbosh"
"""XEP-0206 section 3: ``version``, ``restart``, ``restartlogic``."""

STREAMS: Final = "http://etherx.jabber.org/streams"
"""RFC 6120 section 4.8.1: ``<stream:stream>``, ``<stream:features/>``, ``<stream:error/>``."""

STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
"""RFC 6120 section 4.9.2: the conditions inside ``<stream:error/>``."""

STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
"""RFC 6120 section 8.3.2: the conditions inside a stanza's ``<error/>``."""

CLIENT: Final = "jabber:client"
"""RFC 6120 section 4.8.3: the content namespace of a client-to-server stream."""

FRAMING: Final = "urn:ietf:params:xml:ns:xmpp-framing"
"""RFC 7395 section 3.3.2: ``<open/>`` and ``<close/>``."""

TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
"""RFC 6120 section 5.4: STARTTLS."""

SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
"""RFC 6120 section 6.4: SASL."""

SASL2: Final = "urn:xmpp:sasl:2"
"""XEP-0388: extensible SASL profile; a success is *not* followed by a stream restart (2.6.1)."""

BIND: Final = "urn:ietf:params:xml:ns:xmpp-bind"
"""RFC 6120 section 7.4: resource binding."""

COMPRESS: Final = "http://jabber.org/protocol/compress"
"""XEP-0138 section 3: the elements of stream compression."""

COMPRESS_FEATURE: Final = "http://jabber.org/features/compress"
"""XEP-0138 section 3: the stream feature that offers it."""

SM3: Final = "urn:xmpp:sm:3"
"""XEP-0198 section 2: stream management."""

SM2: Final = "urn:xmpp:sm:2"
"""XEP-0198 before version 1.3: still offered by servers beside ``urn:xmpp:sm:3``."""

STREAM_LIMITS: Final = "urn:xmpp:stream-limits:0"
"""XEP-0478 section 3.1: the stream feature that tells the limits."""

XML: Final = "http://www.w3.org/XML/1998/namespace"
"""Namespaces in XML 1.0: the ``xml`` prefix, here for ``xml:lang``."""

XRD: Final = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
"""XRD 1.0, the format of host-meta (RFC 6415 section 3)."""

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
"""XML Schema: ``xsi:nil`` on a property without value (RFC 6415 appendix A)."""
