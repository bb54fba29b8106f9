"""The client's side of SASL: ANONYMOUS (RFC 4505), PLAIN (RFC 4616), SCRAM-SHA-1 (RFC 5802)."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Generator

from boshgate.conformance.check import Fails

Conversation = Generator[str, str, None]
"""Yields what the client says, takes what the server says; both in base64, '' for nothing."""

SHA1_BYTES = 20


class LoginRefused(Fails):
    """The server does not know the account, has another password for it, or no mechanism for it."""


def choose(offered: list[str], user: str | None, password: str) -> tuple[str, Conversation]:
    """The mechanism to log in with, and its conversation; *user* None is an anonymous one.

    Raises LoginRefused.
    """
    if user is None:
        wanted = {"ANONYMOUS": anonymous()}
    else:
        wanted = {"SCRAM-SHA-1": scram_sha1(user, password), "PLAIN": plain(user, password)}
    for mechanism, conversation in wanted.items():
        if mechanism in offered:
            return mechanism, conversation
    raise LoginRefused(
        f"no mechanism to log in with among {' '.join(offered) or 'none'}: needs {' or '.join(wanted)}"
    )


def anonymous() -> Conversation:
    """RFC 4505: no trace information."""
    yield ""


def plain(user: str, password: str) -> Conversation:
    """RFC 4616 section 2."""
    yield b64encode(f"\0{user}\0{password}".encode()).decode()


def scram_sha1(user: str, password: str) -> Conversation:
    """RFC 5802 section 5; the client's TLS ends at the gateway: no channel binding (gs2 flag n)."""
    nonce = secrets.token_urlsafe(18)
    name = user.replace("=", "=3D").replace(",", "=2C")
    first_bare = f"n={name},r={nonce}"
    challenge = yield b64encode(f"n,,{first_bare}".encode()).decode()
    server_first = b64decode(challenge).decode()
    said = dict(part.split("=", 1) for part in server_first.split(","))
    if not said.get("r", "").startswith(nonce):
        raise Fails(f"the SCRAM nonce did not come back: {server_first!r}")
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), b64decode(said["s"]), int(said["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha1")
    final = f"c=biws,r={said['r']}"
    signed = f"{first_bare},{server_first},{final}".encode()
    stored_key = hashlib.sha1(client_key, usedforsecurity=False).digest()
    signature = hmac.digest(stored_key, signed, "sha1")
    proof = bytes(key ^ sign for key, sign in zip(client_key, signature, strict=True))
    yield b64encode(f"{final},p={b64encode(proof).decode()}".encode()).decode()
