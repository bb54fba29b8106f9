"""The login conversations (RFC 6120 section 6): what each mechanism accepts and what it answers."""

import base64
import hashlib
import hmac

import pytest

from boshgate.demo.sasl import MECHANISMS, Accounts, SaslFailure, proceed


@pytest.fixture
def accounts() -> Accounts:
    return Accounts("localhost", ["alice", "bob"], "playground")


class Exchange:
    """The client's side of one conversation."""

    def __init__(self, mechanism: str, accounts: Accounts) -> None:
        self._conversation = MECHANISMS[mechanism](accounts)
        assert next(self._conversation) == b""

    def say(self, text: str) -> bytes | tuple[str, bytes]:
        return proceed(self._conversation, base64.b64encode(text.encode()).decode())


def scram_proof(password: str, first: str, challenge: str, final: str) -> tuple[str, str]:
    """What RFC 5802 section 3 asks of a client: its proof, and the server signature it must see."""
    values = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), base64.b64decode(values["s"]), int(values["i"]))
    message = f"{first},{challenge},{final}".encode()
    client_key = hmac.digest(salted, b"Client Key", "sha1")
    signature = hmac.digest(hashlib.sha1(client_key).digest(), message, "sha1")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server = hmac.digest(hmac.digest(salted, b"Server Key", "sha1"), message, "sha1")
    return base64.b64encode(proof).decode(), base64.b64encode(server).decode()


def scram(
    accounts: Accounts, user: str, password: str, gs2: str = "n,,", binding: str = "biws"
) -> tuple[tuple[str, bytes], str]:
    exchange = Exchange("SCRAM-SHA-1", accounts)
    first = f"n={user},r=clientnonce"
    challenge = exchange.say(gs2 + first)
    assert isinstance(challenge, bytes)
    nonce = challenge.decode().split(",")[0].removeprefix("r=")
    assert nonce.startswith("clientnonce")
    final = f"c={binding},r={nonce}"
    proof, signature = scram_proof(password, first, challenge.decode(), final)
    login = exchange.say(f"{final},p={proof}")
    assert isinstance(login, tuple)
    return login, signature


def test_scram_lets_in_and_proves_the_server(accounts: Accounts) -> None:
    login, signature = scram(accounts, "alice", "playground")
    assert login == ("alice", f"v={signature}".encode())


def test_scram_user_names_are_case_folded(accounts: Accounts) -> None:
    assert scram(accounts, "Alice", "playground")[0][0] == "alice"


def test_scram_with_an_authorization_identity_of_ones_own(accounts: Accounts) -> None:
    gs2 = "n,a=alice@localhost,"
    binding = base64.b64encode(gs2.encode()).decode()
    assert scram(accounts, "alice", "playground", gs2, binding)[0][0] == "alice"


@pytest.mark.parametrize(
    ("user", "password", "gs2", "condition"),
    [
        ("alice", "wrong", "n,,", "not-authorized"),
        ("mallory", "playground", "n,,", "not-authorized"),
        ("alice", "playground", "y,,", "not-authorized"),  # c= does not repeat the GS2 header
        ("alice", "playground", "p=tls-unique,,", "malformed-request"),  # no channel binding is offered
    ],
)
def test_scram_refuses(accounts: Accounts, user: str, password: str, gs2: str, condition: str) -> None:
    with pytest.raises(SaslFailure, match=condition):
        scram(accounts, user, password, gs2)


@pytest.mark.parametrize("text", ["", "n,,", "n,,n=alice", "n,,r=x"])
def test_scram_refuses_what_is_malformed(accounts: Accounts, text: str) -> None:
    exchange = Exchange("SCRAM-SHA-1", accounts)
    with pytest.raises(SaslFailure, match="malformed-request"):  # noqa: PT012  # the second may be the one
        exchange.say(text)
        exchange.say("c=biws,r=x,p=x")


def test_plain(accounts: Accounts) -> None:
    assert Exchange("PLAIN", accounts).say("\0bob\0playground") == ("bob", b"")
    assert Exchange("PLAIN", accounts).say("bob@localhost\0bob\0playground") == ("bob", b"")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("\0bob\0wrong", "not-authorized"),
        ("\0mallory\0playground", "not-authorized"),
        ("alice@localhost\0bob\0playground", "invalid-authzid"),
        ("bob\0playground", "malformed-request"),
    ],
)
def test_plain_refuses(accounts: Accounts, text: str, condition: str) -> None:
    with pytest.raises(SaslFailure, match=condition):
        Exchange("PLAIN", accounts).say(text)


def test_anonymous_gets_another_name_each_time(accounts: Accounts) -> None:
    names = {Exchange("ANONYMOUS", accounts).say("") for _ in range(3)}
    assert len(names) == 3
    assert all(isinstance(name, tuple) and name[0].startswith("guest-") for name in names)


def test_what_is_no_base64_is_refused(accounts: Accounts) -> None:
    conversation = MECHANISMS["PLAIN"](accounts)
    next(conversation)
    with pytest.raises(SaslFailure, match="malformed-request"):
        proceed(conversation, "no base64!")


def test_an_equals_sign_is_the_empty_response(accounts: Accounts) -> None:
    conversation = MECHANISMS["ANONYMOUS"](accounts)
    next(conversation)
    assert isinstance(proceed(conversation, "="), tuple)  # RFC 6120 6.4.2
