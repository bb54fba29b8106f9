"""boshgate: the HTTP front door for XMPP (BOSH and WebSocket in front, RFC 6120 streams behind)."""

__version__ = "0.1.0"
