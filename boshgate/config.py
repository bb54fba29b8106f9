"""The whole configuration: typed, frozen, validated before a socket opens, read once.

Sources, the later wins: defaults, the TOML file, ``BOSHGATE_<TABLE>__<KEY>`` in the environment, flags.
Each field's docstring gives its meaning; times are whole seconds, sizes are bytes.
"""

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import tomli_w
from annotated_types import Ge, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

from boshgate.errors import ConfigError

Seconds = Annotated[int, Field(ge=1, le=65535)]
"""Whole seconds in the range of the wire's unsignedShort (XEP-0124, XML Schema)."""

Port = Annotated[int, Field(ge=0, le=65535)]
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
WRAPPER_BYTES = 1024
"""Room in a BOSH request for the ``<body/>`` around a stanza; clients need less than half of it."""

_MAX_DOMAIN = 1023
"""RFC 7622 section 3.2, in octets; what is longer is not kept in any session either."""

DEFAULT_PORTS = {"tcp": 5222, "xmpp": 5222, "xmpps": 5223}


def _parse_network(value: object) -> object:
    """Turn ``address/bits`` into a network; raises ValueError."""
    try:
        return ipaddress.ip_network(value) if isinstance(value, str) else value
    except ValueError as exc:
        raise ValueError(f"{exc} (accepted: ADDRESS or ADDRESS/BITS)") from None


Network = Annotated[IPNetwork, BeforeValidator(_parse_network)]


def to_ascii(domain: str) -> str:
    """Fold *domain* to lower-case A-labels, the form in which domains are compared and put into SNI.

    Raises ValueError where it is no domain name (RFC 6120 section 2.1, RFC 5890).
    """
    folded = domain.strip().rstrip(".").lower()
    if not folded or len(domain) > _MAX_DOMAIN or any(char in folded for char in "@/:<>&'\" "):
        raise ValueError(f"{domain!r} is not a domain name")
    if folded.isascii():
        return folded
    return folded.encode("idna").decode("ascii")


def to_unicode(domain: str) -> str:
    """Return *domain*, folded by `to_ascii`, as XMPP writes it: with U-labels (RFC 7622 section 3.2)."""
    try:
        return domain.encode().decode("idna")
    except UnicodeError:
        return domain  # of a later IDNA than Python's: the server may know it by its A-labels


class Table(BaseModel):
    """A configuration table: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BackendAddress(Table):
    """Where an XMPP server listens: ``tcp://`` plain, ``xmpp://`` STARTTLS required, ``xmpps://`` direct TLS.

    ``tcp`` is for loopback or a mesh that encrypts by itself. RFC 6120 section 5, XEP-0368.
    """

    scheme: Literal["tcp", "xmpp", "xmpps"]
    host: str
    """Host name or IP address to connect to; the certificate is checked against the XMPP domain, not this."""
    port: Annotated[int, Field(ge=1, le=65535)]

    @model_serializer
    def __str__(self) -> str:
        """The address as it is written in the configuration."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_backend(value: object) -> object:
    """Turn ``scheme://host[:port]`` into the fields of a `BackendAddress`; raises ValueError."""
    if not isinstance(value, str):
        return value
    accepted = "(accepted: tcp://HOST:PORT, xmpp://HOST[:PORT], xmpps://HOST[:PORT])"
    url = urlsplit(value)
    if url.scheme not in DEFAULT_PORTS or not url.hostname or url.username or url.password:
        raise ValueError(f"{value!r} is not a backend address {accepted}")
    if url.path.strip("/") or url.query or url.fragment:
        raise ValueError(f"{value!r} has more than a host and a port {accepted}")
    try:
        port = url.port or DEFAULT_PORTS[url.scheme]
    except ValueError:
        raise ValueError(f"{value!r} has no valid port {accepted}") from None
    return {"scheme": url.scheme, "host": url.hostname, "port": port}


Backend = Annotated[BackendAddress, BeforeValidator(parse_backend)]


def _parse_http_url(value: str) -> SplitResult:
    """Split an ``http(s)`` URL; raises ValueError for any other, and for one with a password in it."""
    url = urlsplit(value)
    if "@" in url.netloc:
        raise ValueError("a URL with a user name or a password (accepted: http[s]://HOST[:PORT][/PATH])")
    well_written = value.isprintable() and not set(value) & set(' <>"\\')
    if url.scheme not in {"http", "https"} or not url.hostname or url.fragment or not well_written:
        raise ValueError(f"{value!r} is not an http:// or https:// URL")
    if ":" not in url.hostname:
        to_ascii(url.hostname)
    _ = url.port  # raises ValueError if it is none
    return url


def is_url(location: str) -> bool:
    """Whether *location* is a URL of any kind, and not the path of a file."""
    return "://" in location


class ServerTable(Table):
    """``[server]``: the public listener."""

    host: str = "127.0.0.1"
    """Address to listen on for BOSH, WebSocket and the page."""
    port: Port = 5280
    """TCP port of the public listener (XEP-0124 section 20); 0 lets the system pick one."""
    public_url: str | None = None
    """The origin under which browsers reach this gateway, e.g. ``https://chat.example.org``.

    Discovery (host-meta) leads clients to it, and is switched off without it."""
    allow_clear_text_discovery: bool = False
    """For tests only: serve host-meta without TLS, and with ``http`` and ``ws`` addresses (not XEP-0156)."""
    trusted_proxies: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
    """Networks whose ``Forwarded`` and ``X-Forwarded-*`` headers are believed."""
    allowed_origins: tuple[str, ...] = ("*",)
    """Web origins that may use both transports, e.g. ``https://chat.example.org``; ``*`` allows all."""

    former_domains: tuple[Annotated[str, AfterValidator(to_ascii)], ...] = ()
    """Domains that are served here no longer: their clients are told ``host-gone``, not ``host-unknown``."""

    @field_validator("public_url")
    @classmethod
    def _is_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if _parse_http_url(value).query:
            raise ValueError(f"{value!r} has a query (accepted: https://HOST[:PORT])")
        return value.rstrip("/")

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            url = urlsplit(origin)
            if origin != "*" and (not url.scheme or not url.hostname or url.path or url.query):
                raise ValueError(f"{origin!r} is not an origin (accepted: '*' or scheme://host[:port])")
        return tuple(origin.lower() for origin in value)


class AdminTable(Table):
    """``[admin]``: the listener for ``/healthz``, ``/readyz`` and ``/metrics``; keep it private."""

    host: str = "127.0.0.1"
    """Address of the admin listener."""
    port: Port = 5281
    """TCP port of the admin listener; 0 lets the system pick one."""


class BoshTable(Table):
    """``[bosh]``: XEP-0124; all times in seconds."""

    path: str = "/http-bind"
    """Path of the BOSH endpoint."""
    max_wait: Annotated[int, Field(ge=0, le=65535)] = 55
    """Longest time a request is held, seconds; keep it below the read timeout of the proxy in front."""
    max_hold: Annotated[int, Field(ge=1, le=10)] = 1
    """Most requests held at once for one session (the wire's ``hold``)."""
    inactivity: Seconds = 60
    """A session with no request outstanding ends after this many seconds (section 10)."""
    max_pause: Annotated[int, Field(ge=0, le=65535)] = 120
    """Longest pause that a client may ask for, seconds; 0 switches pauses off (section 10)."""
    polling: Annotated[int, Field(ge=0, le=65535)] = 2
    """Shortest time between two empty requests of a polling session, seconds (section 12)."""
    compression: bool = True
    """Compress long responses for clients that accept it (section 5). Who can send a user messages, and sees
    how long the encrypted responses are, may guess at what else is in them (BREACH): ``false`` ends
    that, and costs bandwidth."""
    max_streams: Annotated[int, Field(ge=1, le=16)] = 4
    """Most streams in one session at once (section 16); 1 switches multiple streams off.

    Each after the first counts as a session in ``[limits]``."""


class WebSocketTable(Table):
    """``[websocket]``: RFC 7395; all times in seconds."""

    path: str = "/xmpp-websocket"
    """Path of the WebSocket endpoint."""
    ping_interval: Seconds = 25
    """The gateway pings an idle client this often, seconds; keep it below the proxy's timeout."""
    ping_timeout: Seconds = 20
    """A client that has not answered a ping for so long is taken for lost, seconds."""


class LimitsTable(Table):
    """``[limits]``: what one client may cost; sizes in bytes, times in seconds."""

    max_stanza_bytes: Annotated[int, Field(ge=10_000, le=64 << 20)] = 256 << 10
    """Largest stanza from a client, bytes; clients are told (XEP-0478). RFC 6120 13.12: at least 10000."""
    max_body_bytes: Annotated[int, Field(ge=10_000, le=64 << 20)] = 512 << 10
    """Largest BOSH request, bytes; at least ``max_stanza_bytes`` and 1024 for the ``<body/>`` around it."""
    max_backend_stanza_bytes: Annotated[int, Field(ge=10_000, le=256 << 20)] = 10 << 20
    """Largest stanza from the XMPP server, bytes."""
    max_pending_bytes: Annotated[int, Field(ge=10_000, le=1 << 30)] = 256 << 10
    """Bytes waiting for a client on one stream from which on its XMPP server is not read (backpressure)."""
    max_payloads: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Most elements in one BOSH request."""
    max_sessions: Annotated[int, Field(ge=1)] = 20_000
    """Most BOSH sessions and WebSockets at once in this process."""
    max_sessions_per_address: Annotated[int, Field(ge=0)] = 0
    """Most BOSH sessions and WebSockets at once for one client address; 0 sets no limit."""
    max_unauthenticated: Annotated[int, Field(ge=1)] = 5_000
    """Most streams at once whose client has not authenticated yet: with so many nobody else is admitted. Each
    of them ends after ``auth_timeout``."""
    body_timeout: Seconds = 20
    """A request whose body has not arrived after so long is answered with 408, seconds."""
    connect_timeout: Seconds = 5
    """Time to reach an XMPP server: DNS, TCP, TLS and stream header together, seconds."""
    close_timeout: Seconds = 5
    """Time for the other side to answer the closing of a stream, seconds."""
    auth_timeout: Seconds = 300
    """A stream that has not authenticated after so long is ended, seconds."""

    @model_validator(mode="after")
    def _body_holds_a_stanza(self) -> Self:
        least = self.max_stanza_bytes + WRAPPER_BYTES
        if self.max_body_bytes < least:
            raise ValueError(
                f"max_body_bytes is {self.max_body_bytes}, less than max_stanza_bytes and its <body/> "
                f"(accepted: at least {least})"
            )
        return self


class Domain(Table):
    """One ``[[domains]]`` table: an XMPP domain that is served, and where its servers are."""

    name: str
    """The XMPP domain, as in JIDs."""
    backends: Annotated[tuple[Backend, ...], Field(min_length=1)]
    """Addresses of its servers, tried in order."""
    ca_file: Path | None = None
    """PEM file with the authorities that sign the servers' certificates; absent: the system's."""

    keep_location: bool = False
    """Leave ``location`` on XEP-0198's ``<enabled/>``: where the server wants to be resumed, by TCP."""

    host_meta_upstream: str | None = None
    """The domain's other host-meta document, to be merged with ours: ``http(s)`` URL or file, XRD or JRD."""

    @field_validator("name")
    @classmethod
    def _fold(cls, value: str) -> str:
        return to_ascii(value)

    @field_validator("ca_file")
    @classmethod
    def _is_readable(cls, value: Path | None) -> Path | None:
        if value is not None and not os.access(value, os.R_OK):
            raise ValueError(f"{str(value)!r} cannot be read")
        return value

    @field_validator("host_meta_upstream")
    @classmethod
    def _is_a_location(cls, value: str | None) -> str | None:
        if value is not None and is_url(value):
            _parse_http_url(value)
        elif value is not None and not os.access(value, os.R_OK):
            raise ValueError(f"{value!r} cannot be read (accepted: a file, or an http[s]:// URL)")
        return value


class Config(Table):
    """The effective configuration; build it with `load`."""

    server: ServerTable = ServerTable()
    admin: AdminTable = AdminTable()
    bosh: BoshTable = BoshTable()
    websocket: WebSocketTable = WebSocketTable()
    limits: LimitsTable = LimitsTable()
    domains: tuple[Domain, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [domain.name for domain in self.domains]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"domain {name!r} is listed twice")
            if name in self.server.former_domains:
                raise ValueError(f"domain {name!r} is served, and in server.former_domains")
        if self.bosh.path == self.websocket.path:
            raise ValueError("bosh.path and websocket.path are the same")
        return self

    @field_validator("bosh", "websocket")
    @classmethod
    def _path_is_absolute(cls, value: BoshTable | WebSocketTable) -> BoshTable | WebSocketTable:
        if not value.path.startswith("/") or value.path == "/" or set(value.path) & set("?#{} "):
            raise ValueError(f"path: {value.path!r} is not a path (accepted: /NAME)")
        return value


class _Environment(Config, BaseSettings):
    """The same tables, as the environment may set them."""

    model_config = SettingsConfigDict(env_prefix="BOSHGATE_", env_nested_delimiter="__")


def load(file: Path | None = None, flags: dict[str, Any] | None = None) -> Config:
    """Read the configuration from *file*, the environment and *flags* (tables as in the file; they win).

    A domain in *flags* replaces the one of the same name. Raises ConfigError naming every wrong key.
    """
    tables: dict[str, Any] = {}
    if file is not None:
        try:
            tables = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as exc:
            raise ConfigError([f"{file}: {exc.strerror}"]) from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigError([f"{file}: not TOML: {exc}"]) from exc
    try:
        environment = EnvSettingsSource(_Environment)()
    except SettingsError as exc:
        raise ConfigError([f"environment: {exc} (accepted: JSON for lists and tables)"]) from exc
    try:
        return Config.model_validate(_merge(_merge(tables, environment), flags or {}))
    except ValidationError as exc:
        raise ConfigError(_problems(exc.errors())) from exc


def effective(config: Config) -> str:
    """The whole of *config* as TOML, defaults included; it can be loaded again."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def _merge(tables: dict[str, Any], stronger: dict[str, Any]) -> dict[str, Any]:
    """Lay *stronger* over *tables*, key by key; a domain replaces the one of the same name."""
    merged = dict(tables)
    for name, value in stronger.items():
        below = tables.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[name] = {**below, **value}
        elif isinstance(value, list) and isinstance(below, list):
            names = [domain.get("name") for domain in value]
            merged[name] = [domain for domain in below if domain.get("name") not in names] + value
        else:
            merged[name] = value
    return merged


def _problems(errors: list[ErrorDetails]) -> list[str]:
    """One line for each wrong key; a list with a wrong item is not called too short as well."""
    paths = [error["loc"] for error in errors]
    return [
        _problem(error)
        for error in errors
        if not any(
            len(path) > len(error["loc"]) and path[: len(error["loc"])] == error["loc"] for path in paths
        )
    ]


def _problem(error: ErrorDetails) -> str:
    """One line for a validation *error*: the key, what is wrong, what is accepted."""
    key = ".".join(str(part) for part in error["loc"]) or "configuration"
    message = error["msg"].removeprefix("Value error, ")
    accepted = "" if "accepted:" in message else _accepted(error["loc"], error["type"])
    return f"{key}: {message}{accepted}"


def _accepted(path: tuple[int | str, ...], kind: str) -> str:
    """What the key at *path* accepts, as far as the model says it."""
    model: Any = Config
    bounds: list[str] = []
    for part in path:
        if not isinstance(part, str):
            continue
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            break
        field = model.model_fields.get(part)
        if field is None:
            keys = ", ".join(model.model_fields) if kind == "extra_forbidden" else ""
            return f" (accepted: {keys})" if keys else ""
        model = Domain if part == "domains" else field.annotation
        bounds = [f"at least {item.ge}" for item in field.metadata if isinstance(item, Ge)]
        bounds += [f"at most {item.le}" for item in field.metadata if isinstance(item, Le)]
    return f" (accepted: {', '.join(bounds)})" if bounds else ""
