"""What a check is given: clients of the endpoint, each closed when the check ends, and the way to log in."""

from contextlib import AsyncExitStack
from typing import Any

from websockets.exceptions import InvalidStatus

from boshgate.conformance.bosh import FEATURES, Bosh, Pending
from boshgate.conformance.check import Fails, NotOffered, expect
from boshgate.conformance.login import authenticate, bind
from boshgate.conformance.target import Account, Target
from boshgate.conformance.websocket import Ws, shake_hands
from boshgate.conformance.wire import Http, RawConnection
from boshgate.conformance.xml import Element, message, named, tag


class Kit:
    """The means of one check."""

    def __init__(self, target: Target, stack: AsyncExitStack) -> None:
        self.target = target
        self.domain = target.domain
        self.settle = target.settle
        self._stack = stack

    @property
    def account(self) -> Account:
        """Who logs in."""
        if self.target.account is None:
            raise NotOffered("needs a login, and no account is given")
        return self.target.account

    # BOSH

    async def http(self, url: str | None = None) -> Http:
        """Requests to the BOSH endpoint, with connections of their own."""
        url = url or self.target.bosh_url
        assert url is not None, "the checks of an absent endpoint are left out"
        return await self._stack.enter_async_context(
            Http(url, self.target.tls, self.target.patience, self.target.pace)
        )

    async def raw(self) -> RawConnection:
        """A bare connection to the BOSH endpoint."""
        return await self._stack.enter_async_context(await (await self.http()).connection())

    async def bosh(self) -> Bosh:
        """A client that has no session yet."""
        return await self._stack.enter_async_context(Bosh(await self.http(), self.domain, self.settle))

    async def session(self, **attributes: str | None) -> Bosh:
        """A session that has not logged in; *attributes* are those of the creation request."""
        return await (await self.bosh()).open(**attributes)

    async def hold(self, session: Bosh) -> Pending:
        """An empty request of *session*, seen to be held."""
        held = session.send()
        expect(await held.is_held(self.settle * 2), f"not held: {await held.seen()}")
        return held

    async def login(self, **attributes: str | None) -> Bosh:
        """A session that has logged in and bound a resource; nothing is outstanding."""
        self.account  # noqa: B018  # without one there is nothing to do here
        session = await self.session(**attributes)
        await self.log_in(session)
        return session

    async def log_in(self, session: Bosh, resource: str | None = None) -> Element:
        """Log a session in, and bind *resource* or the server's choice: the features after the login."""
        await self.authenticate(session)
        features = await self.restart(session)
        session.jid = await bind(session.exchange, features, resource)
        return features

    async def authenticate(self, session: Bosh) -> None:
        """Log a session in as far as the restart that is due then (RFC 6120 section 6.4.6)."""
        await authenticate(session.exchange, await session.features(), self.account)

    async def restart(self, session: Bosh, **attributes: str | None) -> Element:
        """Ask for a restart (XEP-0206 section 5): the features of the new stream."""
        seen = len(session.received)
        usual: dict[str, str | None] = {"to": self.domain, "xml:lang": "en", "xmpp:restart": "true"}
        await session.ask("", usual | attributes)
        return await session.wait_for(
            lambda element: tag(element) == FEATURES,
            "features after the restart",
            seen,
        )

    # WebSocket

    async def handshake(self, *, url: str | None = None, **options: Any) -> Ws:
        """A WebSocket; raises InvalidStatus where the endpoint refuses the handshake."""
        url = url or self.target.ws_url
        assert url is not None, "the checks of an absent endpoint are left out"
        ws = await shake_hands(url, self.domain, self.target.tls, self.target.patience, **options)
        return await self._stack.enter_async_context(ws)

    async def websocket(self, **options: Any) -> Ws:
        """A WebSocket on which nothing was said yet."""
        try:
            return await self.handshake(**options)
        except InvalidStatus as error:
            raise Fails(f"the handshake is answered with HTTP {error.response.status_code}") from None

    async def ws_login(self, *, resource: str | None = None, **options: Any) -> Ws:
        """A stream that has logged in and bound a resource."""
        account = self.account
        ws = await self.websocket(**options)
        _, features = await ws.open()
        await authenticate(ws.exchange, features, account)
        _, features = await ws.open()
        ws.jid = await bind(ws.exchange, features, resource)
        return ws

    # Both

    async def echo(self, client: Bosh | Ws) -> None:
        """See that the server delivers a message to oneself: where it does not, nothing can be tried."""
        if not self.target.delivers:
            raise NotOffered("the server does not deliver a message to oneself")
        await client.exchange(message(client.jid, "echo"), named("echo"), "a message to oneself")
