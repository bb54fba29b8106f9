"""Real XMPP servers, each a child process with a private configuration on loopback ports."""

from tests.support.servers.base import (
    CHAT_DOMAIN,
    COMPONENT_SECRET,
    DIRECT_DOMAIN,
    DOMAIN,
    PASSWORD,
    ROOMS,
    TLS_DOMAIN,
    TRANSPORT,
    UPLOAD_LIMIT,
    UPLOADS,
    USERS,
    WRONG_DOMAIN,
    XmppServer,
)
from tests.support.servers.ejabberd import Ejabberd
from tests.support.servers.prosody import Prosody

__all__ = [
    "CHAT_DOMAIN",
    "COMPONENT_SECRET",
    "DIRECT_DOMAIN",
    "DOMAIN",
    "PASSWORD",
    "ROOMS",
    "TLS_DOMAIN",
    "TRANSPORT",
    "UPLOADS",
    "UPLOAD_LIMIT",
    "USERS",
    "WRONG_DOMAIN",
    "Ejabberd",
    "Prosody",
    "XmppServer",
]
