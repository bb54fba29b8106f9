"""Everything boshgate raises on purpose; any other exception is a bug of ours.

::

    BoshgateError
    ├── ConfigError               a configuration key is wrong; nothing was started
    ├── XmlError                  somebody's XML is not acceptable (RFC 6120 4.9.3, 11.1, 11.3)
    ├── BindingError              a BOSH request cannot be served (XEP-0124 17.2)
    ├── UpstreamError             a domain's other host-meta document cannot be had or used (RFC 6415)
    └── BackendError              the stream to the XMPP server cannot be had, or was lost
        ├── ConnectFailed         no connection, no TLS, no usable stream (before it was ready)
        ├── ConnectionLost        the TCP connection ended without ``</stream:stream>``
        ├── BadStream             the server sent something that is no XMPP stream
        ├── QueueFull             the client sent more than may wait for the stream to be ready
        └── AuthenticationTimeout the client did not authenticate in time

An error carries the answer to send: a condition in the words of the standard, and a text for the log.
"""


class BoshgateError(Exception):
    """The base of all errors that boshgate raises on purpose."""


class ConfigError(BoshgateError):
    """A configuration that cannot be used: *problems* are lines ``key: what is wrong (what is accepted)``."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class XmlError(BoshgateError):
    """XML that XMPP does not allow; *condition* is the stream error condition (RFC 6120 section 4.9.3).

    ``not-well-formed``: no XML (11.3), or not one element. ``restricted-xml``: a comment, processing
    instruction, DTD or entity reference (11.1). ``unsupported-encoding``: not UTF-8 (11.6).
    ``policy-violation``: larger or deeper than the limits. ``bad-format``, ``invalid-namespace``: as named.
    """

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text


class BindingError(BoshgateError):
    """A request that ends in a terminal binding *condition* (XEP-0124 section 17.2)."""

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text


class UpstreamError(BoshgateError):
    """The host-meta document into which ours is merged cannot be had, or is none; clients get ours alone."""


class BackendError(BoshgateError):
    """The stream to the XMPP server failed; both transports tell the client ``remote-connection-failed``."""


class ConnectFailed(BackendError):
    """No usable stream could be had: DNS, TCP, TLS, certificate, STARTTLS or header (XEP-0124 17.2)."""


class ConnectionLost(BackendError):
    """The server's TCP connection ended without ``</stream:stream>`` (RFC 6120 section 4.4)."""


class BadStream(BackendError):
    """The server sent what RFC 6120 section 11 forbids; *condition* is the stream error we sent it."""

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition


class QueueFull(BackendError):
    """The client sent more bytes than may be queued before its stream is ready."""


class AuthenticationTimeout(BackendError):
    """The client did not authenticate within ``limits.auth_timeout`` (RFC 6120 section 13.12)."""
