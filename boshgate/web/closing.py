"""How a connection is closed: what the listener, which has connections, and the endpoints agree on."""

from typing import Final

CLOSE: Final = "boshgate.close"
"""An ASGI extension of our listener: a callable that closes the connection, for who gets no response."""

LINGER_SECONDS: Final = 2.0
"""How long what a client still sends is read, and thrown away, before the connection closes.

One that is closed with bytes unread is reset, and the last response may be lost with it (RFC 9112 9.6).
"""
