"""The server's side of SASL (RFC 6120 section 6): a mechanism is a generator: challenges out, answers in."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Generator, Sequence
from functools import partial
from typing import Final

ITERATIONS: Final = 4096  # RFC 5802 section 5.1, attribute i: the least allowed with SHA-1

_hmac = partial(hmac.digest, digest="sha1")

Login = tuple[str, bytes]  # who logged in, and the additional data of <success/> (RFC 6120 section 6.4.6)
Conversation = Generator[bytes, bytes, Login]


class SaslFailure(Exception):
    """The login is refused; the argument is the condition to send (RFC 6120 section 6.5)."""


class Accounts:
    """Who may log in; a playground's accounts share one password, and so one salt (RFC 5802 section 3)."""

    def __init__(self, domain: str, users: Sequence[str], password: str) -> None:
        self.domain, self.users, self.password = domain, tuple(users), password
        self.salt = secrets.token_bytes(16)
        salted = hashlib.pbkdf2_hmac("sha1", password.encode(), self.salt, ITERATIONS)
        self.stored_key = _sha1(_hmac(salted, b"Client Key"))
        self.server_key = _hmac(salted, b"Server Key")

    def log_in(self, user: str, authzid: str, proven: bool, data: bytes = b"") -> Login:
        if not proven or user not in self.users:
            raise SaslFailure("not-authorized")  # 6.5.10, the same for an unknown user and a wrong password
        if authzid not in ("", f"{user}@{self.domain}"):
            raise SaslFailure("invalid-authzid")  # 6.5.6: nobody acts for somebody else here
        return user, data


def scram_sha_1(accounts: Accounts) -> Conversation:
    """RFC 5802: neither side tells the password, and each proves that it knows it."""
    flag, authzid, first = (yield b"").decode().split(",", 2)
    sent = _attributes(first)
    if flag not in ("n", "y") or "m" in sent:  # 6, 5.1: no channel binding, no mandatory extension
        raise SaslFailure("malformed-request")
    nonce = sent["r"] + secrets.token_hex(12)
    challenge = f"r={nonce},s={b64encode(accounts.salt).decode()},i={ITERATIONS}"
    final, _, proof = (yield challenge.encode()).decode().rpartition(",p=")
    answer = _attributes(final)
    message = f"{first},{challenge},{final}".encode()
    signature = _hmac(accounts.stored_key, message)
    client_key = bytes(a ^ b for a, b in zip(signature, b64decode(proof, validate=True), strict=True))
    bound = answer["r"] == nonce and b64decode(answer["c"]) == f"{flag},{authzid},".encode()
    proven = bound and hmac.compare_digest(_sha1(client_key), accounts.stored_key)
    verifier = b"v=" + b64encode(_hmac(accounts.server_key, message))
    return accounts.log_in(sent["n"].lower(), authzid.removeprefix("a="), proven, verifier)


def plain(accounts: Accounts) -> Conversation:
    """RFC 4616: authorization identity, user and password, separated by NUL."""
    authzid, user, password = (yield b"").split(b"\0")
    proven = hmac.compare_digest(password, accounts.password.encode())
    return accounts.log_in(user.decode().lower(), authzid.decode(), proven)


def anonymous(_accounts: Accounts) -> Conversation:
    """RFC 4505, XEP-0175: a name for this session only; the trace information is ignored."""
    yield b""
    return f"guest-{secrets.token_hex(4)}", b""


MECHANISMS: Final = {"SCRAM-SHA-1": scram_sha_1, "PLAIN": plain, "ANONYMOUS": anonymous}


def proceed(conversation: Conversation, text: str) -> bytes | Login:
    """Give the mechanism the base64 *text* of a response: its next challenge, the login, or SaslFailure."""
    try:
        return conversation.send(b64decode("" if text == "=" else text, validate=True))  # 6.4.2: = is empty
    except StopIteration as end:
        login: Login = end.value
        return login
    except (KeyError, ValueError):
        raise SaslFailure("malformed-request") from None  # 6.5.8: no base64, or a value is missing or wrong


def _attributes(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in text.split(","))}


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
