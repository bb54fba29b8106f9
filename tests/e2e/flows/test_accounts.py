"""Accounts: somebody new registers in the stream itself, with a form (XEP-0077, XEP-0004)."""

import itertools

import pytest

from tests.e2e.flows.conftest import People
from tests.support.clients import CLIENT
from tests.support.servers import CHAT_DOMAIN, PASSWORD, Prosody

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

_NUMBERS = itertools.count(1)


@pytest.mark.rule("B10", "F11")
async def test_newcomer_registers_and_logs_in(people: People) -> None:
    name = f"newcomer{next(_NUMBERS)}"
    jid = f"{name}@{CHAT_DOMAIN}"
    account = {"username": name, "password": PASSWORD, "email": "new@example.org"}
    newcomer = await people.web_user(jid, account=account)
    assert newcomer.bare_jid == jid
    asked = await newcomer.wait_for("registration")
    if isinstance(people.server, Prosody):  # ejabberd asks by form only where it has a picture puzzle to show
        names = [field["name"] for field in asked["form"]["fields"]]
        assert names == ["FORM_TYPE", "username", "password", "email"]
    await newcomer.disconnect()

    again = await people.web_user(jid)
    bob = await people.tcp_user()
    await again.call("sendMessage", {"to": bob.jid, "type": "chat", "body": "I am new here"})
    received = await bob.expect(f"{{{CLIENT}}}message")
    assert received.get("from") == again.jid
    assert again.bare_jid == jid
    assert received.findtext(f"{{{CLIENT}}}body") == "I am new here"
