"""An external component of a server (XEP-0114): a stream on which it speaks for a domain of its own."""

import hashlib

from tests.support.clients.tcp import TcpConnection

COMPONENT = "jabber:component:accept"


class ComponentConnection(TcpConnection):
    """A stream as *domain*, proven by *secret*; its stanzas are in COMPONENT."""

    namespace = COMPONENT

    def __init__(self, domain: str, port: int, secret: str) -> None:
        super().__init__(domain, port)
        self._secret = secret

    async def open(self) -> None:
        """Connect, and say who we are (section 3)."""
        await super().open()
        header = await self.wait_for_header()
        proof = hashlib.sha1((header["id"] + self._secret).encode()).hexdigest()
        await self.send(f"<handshake xmlns='{COMPONENT}'>{proof}</handshake>")
        answer = await self.receive()
        assert answer.tag == f"{{{COMPONENT}}}handshake", answer.tag
