"""Discovery (XEP-0156, RFC 6415): ``/.well-known/host-meta`` tells clients of a domain where the gateway is.

A client asks at its domain's own origin, which its proxy leads here, with the domain in ``Host`` (RFC 7395
section 4). Nothing of a request gets into an answer: ``Host`` only chooses among configured domains, and the
addresses are `server.public_url`'s.
"""

import asyncio
import hashlib
import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from boshgate.config import Config, Domain, to_ascii
from boshgate.web.client import client_of
from boshgate.web.descriptor import WEBSOCKET_REL, XBOSH_REL, Descriptor, Link, merge
from boshgate.web.jrd import write_jrd
from boshgate.web.upstream import LIFETIME, RETRY, Upstream, loop_mark
from boshgate.web.xrd import write_xrd

XRD_PATH: Final = "/.well-known/host-meta"
"""RFC 6415 section 6.1."""

JRD_PATH: Final = "/.well-known/host-meta.json"
"""RFC 6415 section 6.2."""

PATHS: Final = frozenset({XRD_PATH, JRD_PATH})

XRD_TYPE: Final = "application/xrd+xml"
"""RFC 6415 section 2."""

JRD_TYPE: Final = "application/json"
"""RFC 6415 appendix A: exactly this."""

_METHODS: Final = "GET, HEAD, OPTIONS"

_CORS: Final = {"access-control-allow-origin": "*"}
"""XEP-0156 section 3: for these paths only, and without credentials."""

_PREFLIGHT: Final = {
    "access-control-allow-methods": _METHODS,
    "access-control-allow-headers": "Accept, Content-Type, If-None-Match",
    "access-control-max-age": "86400",
}

_HOST: Final = re.compile(r"([^:\[\]]+)(?::[0-9]*)?")
"""``Host`` (RFC 9110 section 7.2) with a name; no XMPP domain is served that is an IPv6 literal."""

_QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
"""RFC 9110 section 12.4.2."""

logger = logging.getLogger("boshgate.hostmeta")


class _Refusal(Exception):
    """A request is not served: *status* and *text* say why."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class _Representation:
    """A document in one format."""

    content_type: str
    data: bytes
    etag: str


class HostMeta:
    """Serves PATHS. Make it inside the event loop that serves it."""

    def __init__(self, config: Config) -> None:
        self._trusted_proxies = config.server.trusted_proxies
        self._clear = config.server.allow_clear_text_discovery
        self._links = _links(config)
        self._problem = _problem(config)
        self._sites = {domain.name: _Site(domain, self._links, self._clear) for domain in config.domains}
        self._log(config)

    def _log(self, config: Config) -> None:
        """Say once what an operator must know."""
        if self._problem is not None:
            # Not everybody wants discovery: who does has set one of the two.
            wanted = config.server.public_url or any(domain.host_meta_upstream for domain in config.domains)
            level = logging.WARNING if wanted else logging.INFO
            logger.log(level, "discovery (host-meta) is switched off: %s", self._problem)
        elif self._clear:
            logger.warning(
                "server.allow_clear_text_discovery is on: XEP-0156 forbids it, it is for tests only"
            )

    async def close(self) -> None:
        """Fetch nothing any more."""
        for site in self._sites.values():
            await site.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        try:
            response = await self._respond(request)
        except _Refusal as refusal:
            response = PlainTextResponse(
                f"{refusal.text}\n", refusal.status, {"cache-control": "no-store", "allow": _METHODS}
            )
        response.headers.update(_CORS)  # on errors too, or a page cannot tell them from a dead network
        response.headers["x-content-type-options"] = "nosniff"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": _METHODS, **_PREFLIGHT})
        if request.method not in {"GET", "HEAD"}:
            raise _Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"Allowed: {_METHODS}.")
        site = self._site(request)
        as_json = request.url.path == JRD_PATH or _prefers_json(", ".join(request.headers.getlist("accept")))
        document = await site.representation(as_json)
        headers = {
            "etag": document.etag,
            # Without the other document, others must not believe for long that there is none.
            "cache-control": f"public, max-age={RETRY if site.is_incomplete else LIFETIME:.0f}",
            "vary": "Accept",
        }
        if _matches(request.headers.getlist("if-none-match"), document.etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(document.data, headers={"content-type": document.content_type, **headers})

    def _site(self, request: Request) -> "_Site":
        """The domain that is asked for. Raises _Refusal."""
        if self._problem is not None:
            raise _Refusal(HTTPStatus.NOT_FOUND, f"Discovery is switched off: {self._problem}.")
        if not self._clear and not client_of(request.scope, self._trusted_proxies).secure:
            # XEP-0156 section 2.2 rule 1, section 4. No redirect: who follows one has asked in clear before.
            raise _Refusal(
                HTTPStatus.FORBIDDEN,
                "Host-meta is served over HTTPS only (XEP-0156 section 2.2). A proxy in front has to send "
                "X-Forwarded-Proto, and its address has to be in server.trusted_proxies.",
            )
        hosts = request.headers.getlist("host")
        if len(hosts) > 1:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "More than one Host.")  # RFC 9112 section 3.2
        name = _domain(hosts[0]) if hosts else None
        site = self._sites.get(name) if name is not None else None
        if name is None or site is None:
            raise _Refusal(HTTPStatus.NOT_FOUND, "The domain in Host is not served here.")
        if loop_mark(name) in ", ".join(request.headers.getlist("via")).lower().replace(",", " ").split():
            # We would wait for ourselves. It comes out in the log as the upstream's answer.
            raise _Refusal(HTTPStatus.LOOP_DETECTED, "host_meta_upstream leads back to boshgate itself.")
        return site


class _Site:
    """One domain: our links, merged into its other document if it has one."""

    def __init__(self, domain: Domain, links: tuple[Link, ...], clear: bool) -> None:
        self._links = links
        self._clear = clear
        self._upstream: Upstream | None = None
        if domain.host_meta_upstream is not None:
            clock = asyncio.get_running_loop().time
            self._upstream = Upstream(domain.name, domain.host_meta_upstream, clock=clock)
        self._source: Descriptor | None = None
        self._written: tuple[_Representation, _Representation] | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether the other document is missing."""
        return self._upstream is not None and self._upstream.is_missing

    async def representation(self, as_json: bool) -> _Representation:
        """The document as JRD or as XRD; written anew only when the other document has been fetched anew."""
        source = Descriptor() if self._upstream is None else await self._upstream.document()
        if self._written is None or (self._upstream is not None and source is not self._source):
            merged = merge(source, self._links, clear=self._clear)
            self._source = source
            self._written = (
                _represent(f"{XRD_TYPE}; charset=utf-8", write_xrd(merged)),
                _represent(JRD_TYPE, write_jrd(merged)),
            )
        return self._written[as_json]

    async def close(self) -> None:
        if self._upstream is not None:
            await self._upstream.close()


def _represent(content_type: str, data: bytes) -> _Representation:
    return _Representation(content_type, data, f'"{hashlib.sha256(data).hexdigest()[:32]}"')


def _problem(config: Config) -> str | None:
    """Why there is no discovery with this configuration; None: there is."""
    wanted = "set it to the https:// address under which browsers reach this gateway"
    if config.server.public_url is None:
        return f"server.public_url is not set; {wanted}"
    if urlsplit(config.server.public_url).scheme != "https" and not config.server.allow_clear_text_discovery:
        return f"server.public_url is not https:// (XEP-0156 section 2.2); {wanted}"
    return None


def _links(config: Config) -> tuple[Link, ...]:
    """The links to both endpoints (XEP-0156 section 2.1); none without a public address."""
    if config.server.public_url is None:
        return ()
    url = urlsplit(config.server.public_url)
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else to_ascii(host)
    address = host if url.port is None else f"{host}:{url.port}"
    websocket = "wss" if url.scheme == "https" else "ws"
    return (
        Link({"rel": XBOSH_REL, "href": f"{url.scheme}://{address}{url.path}{config.bosh.path}"}),
        Link({"rel": WEBSOCKET_REL, "href": f"{websocket}://{address}{url.path}{config.websocket.path}"}),
    )


def _domain(host: str) -> str | None:
    """The domain in a ``Host`` header, folded; None if there is none that could be served."""
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return None
    try:
        # A client that does not write A-labels writes UTF-8.
        return to_ascii(match[1].encode("latin-1").decode())
    except ValueError:
        return None


def _prefers_json(accept: str) -> bool:
    """Whether ``Accept`` prefers JRD; in doubt it does not: XRD is required (RFC 6415 section 3)."""
    return _accepted(accept, JRD_TYPE) > _accepted(accept, XRD_TYPE)


def _accepted(accept: str, media_type: str) -> float:
    """How much *accept* wants *media_type*: the quality of the most specific range that includes it."""
    ranges = [media_type, f"{media_type.partition('/')[0]}/*", "*/*"]
    best, quality = len(ranges), 0.0 if accept.strip() else 1.0
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if name in ranges[:best]:
            best = ranges.index(name)
            written = next((p[2:].strip() for p in parameters if p.startswith("q=")), "1")
            quality = float(written) if _QUALITY.fullmatch(written) else 0.0
    return quality


def _matches(if_none_match: list[str], etag: str) -> bool:
    """Whether the client has the document (RFC 9110 section 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for value in if_none_match for tag in value.split(",")}
    return etag in tags or "*" in tags
