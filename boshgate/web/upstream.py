"""A domain's other host-meta document: fetched from a file or a URL, and kept for five minutes.

It is needed, but nobody may suffer from it. A request waits for it only as long as fetching has worked, and
never longer than TIMEOUT; while it does not work, what was fetched last is used, and fetching is tried again
behind the requests.
"""

import asyncio
import logging
import math
import os
import ssl
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final, cast

import httpx

import boshgate
from boshgate.config import is_url
from boshgate.errors import UpstreamError
from boshgate.web.descriptor import Descriptor
from boshgate.web.jrd import read_jrd
from boshgate.web.xrd import read_xrd

LIFETIME: Final = 300.0
"""Seconds for which a document is used without asking for it again."""

RETRY: Final = 30.0
"""Seconds until a fetch that failed is tried again."""

TIMEOUT: Final = 5.0
"""Seconds for one fetch, redirects included."""

MAX_BYTES: Final = 128 << 10
"""Largest document; they have one or two thousand bytes."""

MAX_REDIRECTS: Final = 3

logger = logging.getLogger("boshgate.hostmeta")


def loop_mark(domain: str) -> str:
    """What ``Via`` (RFC 9110 section 7.6.3) calls a gateway that fetches the document of *domain*."""
    return f"boshgate.{domain}"


def read(data: bytes) -> Descriptor:
    """Read an XRD or a JRD, whatever it was labelled; raises UpstreamError if *data* is neither."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<"):
        return read_xrd(start)
    if start.startswith(b"{"):
        return read_jrd(start)
    raise UpstreamError("neither XRD nor JRD" if start else "empty")


class Upstream:
    """The other document of *domain*, at *location* (``host_meta_upstream``). *clock* gives seconds."""

    def __init__(self, domain: str, location: str, *, clock: Callable[[], float]) -> None:
        self._domain = domain
        self._location = location
        self._clock = clock
        self._document = Descriptor()
        self._due = -math.inf
        self._refreshing: asyncio.Task[None] | None = None
        self._known = False
        self.failing = False
        """Whether the last fetch failed."""

    def __repr__(self) -> str:
        state = "failing" if self.failing else "known" if self._known else "not known"
        return f"<Upstream of {self._domain}: {state}>"

    @property
    def is_missing(self) -> bool:
        """Whether it could not be had even once."""
        return self.failing and not self._known

    async def document(self) -> Descriptor:
        """The document: at most LIFETIME old; while fetching fails the last one, or an empty one."""
        if self._refreshing is None and self._clock() >= self._due:
            self._refreshing = asyncio.create_task(self._refresh())
        if self._refreshing is not None and not self.failing:
            # Not by awaiting it: it is everybody's, and one request that is cancelled must not cancel it.
            await asyncio.wait([self._refreshing])
        return self._document

    async def close(self) -> None:
        """Fetch no more."""
        self._due = math.inf
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
            self._refreshing = None

    async def _refresh(self) -> None:
        self._due = self._clock() + RETRY
        try:
            self._document = read(await self._fetch())
        except UpstreamError as error:
            self._failed(error)
        else:
            self._due = self._clock() + LIFETIME
            if self.failing:
                logger.info("the host-meta upstream of %s can be used again", self._domain)
            self.failing = False
            self._known = True
        finally:
            self._refreshing = None

    def _failed(self, error: UpstreamError) -> None:
        """Warn once, not at each retry. The location is not logged: its query may be secret."""
        used = "the last one is served" if self._known else "only our own links are served"
        level = logging.DEBUG if self.failing else logging.WARNING
        logger.log(level, "the host-meta upstream of %s cannot be used, %s: %s", self._domain, used, error)
        self.failing = True

    async def _fetch(self) -> bytes:
        try:
            async with asyncio.timeout(TIMEOUT):
                if is_url(self._location):
                    return await _download(self._location, loop_mark(self._domain))
                return await asyncio.to_thread(_read_file, self._location)
        except TimeoutError:
            raise UpstreamError(f"not there within {TIMEOUT:g} s") from None
        except httpx.TooManyRedirects:
            raise UpstreamError(f"more than {MAX_REDIRECTS} redirects") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            # UnicodeError: a redirect to a host whose name nobody can have
            raise UpstreamError(f"{type(error).__name__}: {error}") from error


def _read_file(path: str) -> bytes:
    # Without waiting, should it be a pipe by now.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UpstreamError("not a regular file")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UpstreamError(f"larger than {MAX_BYTES} bytes")
    return data


async def _download(url: str, mark: str) -> bytes:
    headers = {
        "accept": "application/xrd+xml, application/json;q=0.9, */*;q=0.1",
        # What is counted is what comes: nothing is inflated.
        "accept-encoding": "identity",
        "user-agent": f"boshgate/{boshgate.__version__}",
        "via": f"1.1 {mark}",
        # So did the request for which this is fetched; applications redirect to HTTPS without it.
        "x-forwarded-proto": "https",
    }
    async with (
        httpx.AsyncClient(
            # The system's authorities, as for XMPP servers; reading them takes its time.
            verify=await asyncio.to_thread(ssl.create_default_context),
            trust_env=False,  # all configuration is in one place
            follow_redirects=True,  # RFC 6415 section 2
            max_redirects=MAX_REDIRECTS,
            timeout=TIMEOUT,
            headers=headers,
        ) as http,
        http.stream("GET", url) as response,
    ):
        if response.history and url.startswith("https:") and response.url.scheme != "https":
            raise UpstreamError("redirected from https to http")
        if response.status_code != httpx.codes.OK:
            raise UpstreamError(f"HTTP {response.status_code}")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise UpstreamError("it came compressed, unasked")
        data = bytearray()
        async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_raw())) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > MAX_BYTES:
                    raise UpstreamError(f"larger than {MAX_BYTES} bytes")
        return bytes(data)
