"""The people of a flow: some behind the gateway in one Node process, others on plain streams."""

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import find_node
from tests.e2e.flows.web_user import WebUser, WebUsers
from tests.support.clients import Client, TcpConnection
from tests.support.gateway import Gateway
from tests.support.servers import CHAT_DOMAIN, PASSWORD, XmppServer

_NUMBERS = itertools.count(1)


class People:
    """Makes the people of one flow, none of whom was seen before, and sends them home at its end."""

    def __init__(
        self, server: XmppServer, gateway: Gateway, web_users: WebUsers, transport: str, stack: AsyncExitStack
    ) -> None:
        self.server = server
        self.transport = transport
        self._gateway = gateway
        self._web_users = web_users
        self._stack = stack
        self._here: list[WebUser] = []

    def new_account(self) -> str:
        """Return the bare JID of an account with PASSWORD."""
        return f"{self.server.new_user()}@{CHAT_DOMAIN}"

    async def web_user(
        self, jid: str = "", *, other_transport: bool = False, presence: bool = True, **options: object
    ) -> WebUser:
        """Log in through the gateway, over the transport of the test or over the other one."""
        bosh = (self.transport == "bosh") != other_transport
        user = self._web_users.new(f"web-user-{next(_NUMBERS)}")
        service = self._gateway.bosh_url if bosh else self._gateway.websocket_url
        await user.connect(service, jid or self.new_account(), PASSWORD, **options)
        self._here.append(user)
        if presence:
            await user.call("sendPresence")
            await user.wait_for("available")  # our own, so the server has taken it
        return user

    async def tcp_user(self, jid: str = "", *, presence: bool = True) -> Client:
        """Log in beside the gateway: what this user receives is what the server delivers."""
        user = Client(TcpConnection(CHAT_DOMAIN, self.server.plain_port))
        await self._stack.enter_async_context(user)
        await user.login((jid or self.new_account()).partition("@")[0], PASSWORD, presence=presence)
        return user

    async def go_home(self) -> None:
        for user in self._here:
            if user.jid:
                await user.disconnect()

    def log(self) -> str:
        return "\n".join([self._web_users.log(), *(user.log() for user in self._here)])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def web_users(node_modules: Path) -> AsyncIterator[WebUsers]:
    """The Node process."""
    users = await WebUsers.start(find_node())
    yield users
    await users.close()


@pytest.fixture(params=["bosh", "websocket"])
def transport(request: pytest.FixtureRequest) -> str:
    """How the users of StanzaJS reach the gateway."""
    name: str = request.param
    return name


@pytest_asyncio.fixture(loop_scope="session")
async def people(
    server: XmppServer, gateway: Gateway, web_users: WebUsers, transport: str
) -> AsyncIterator[People]:
    """Everyone in this flow."""
    async with AsyncExitStack() as stack:
        people = People(server, gateway, web_users, transport, stack)
        yield people
        await people.go_home()
