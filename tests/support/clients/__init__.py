"""Small raw XMPP clients: the same user code over BOSH, over WebSocket and over plain TCP."""

from tests.support.clients.base import (
    CLIENT,
    FRAMING,
    HTTPBIND,
    SASL,
    SM,
    STREAM_ERRORS,
    STREAMS,
    Client,
    Connection,
    StreamEndedError,
    message,
)
from tests.support.clients.bosh import BoshConnection, post_body
from tests.support.clients.component import ComponentConnection
from tests.support.clients.tcp import TcpConnection
from tests.support.clients.websocket import WebSocketConnection

__all__ = [
    "CLIENT",
    "FRAMING",
    "HTTPBIND",
    "SASL",
    "SM",
    "STREAMS",
    "STREAM_ERRORS",
    "BoshConnection",
    "Client",
    "ComponentConnection",
    "Connection",
    "StreamEndedError",
    "TcpConnection",
    "WebSocketConnection",
    "message",
    "post_body",
]
