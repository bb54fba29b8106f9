"""Real XMPP servers, each a child process with a private configuration on loopback ports."""

from tests.support.servers.base import (
    DIRECT_DOMAIN,
    DOMAIN,
    PASSWORD,
    TLS_DOMAIN,
    USERS,
    WRONG_DOMAIN,
    XmppServer,
)
from tests.support.servers.ejabberd import Ejabberd
from tests.support.servers.prosody import Prosody

__all__ = [
    "DIRECT_DOMAIN",
    "DOMAIN",
    "PASSWORD",
    "TLS_DOMAIN",
    "USERS",
    "WRONG_DOMAIN",
    "Ejabberd",
    "Prosody",
    "XmppServer",
]
