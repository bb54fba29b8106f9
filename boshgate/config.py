"""The whole configuration: typed, frozen, validated before a socket opens, read once.

Sources, the later wins: defaults, the TOML file, ``BOSHGATE_<TABLE>__<KEY>`` in the environment, flags.
Each field's docstring gives its meaning; times are whole seconds, sizes are bytes.
"""

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from boshgate.errors import ConfigError

Seconds = Annotated[int, Field(ge=1, le=65535)]
"""Whole seconds in the range of the wire's unsignedShort (XEP-0124, XML Schema)."""

Port = Annotated[int, Field(ge=0, le=65535)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
DEFAULT_PORTS = {"tcp": 5222, "xmpp": 5222, "xmpps": 5223}


def to_ascii(domain: str) -> str:
    """Fold *domain* to lower-case A-labels, the form in which domains are compared and put into SNI.

    Raises ValueError where it is no domain name (RFC 6120 section 2.1, RFC 5890).
    """
    folded = domain.strip().rstrip(".").lower()
    if not folded or any(char in folded for char in "@/:<>&'\" "):
        raise ValueError(f"{domain!r} is not a domain name")
    if folded.isascii():
        return folded
    return folded.encode("idna").decode("ascii")


class Table(BaseModel):
    """A configuration table: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
