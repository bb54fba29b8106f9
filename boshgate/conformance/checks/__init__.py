"""The checks, one module for each section of the standards; importing them all fills the register."""

from boshgate.conformance.check import Check, registered
from boshgate.conformance.checks import (
    acks,
    body,
    compression,
    cors,
    creation,
    creation_faults,
    discovery,
    errors,
    http,
    inactivity,
    keys,
    legacy,
    namespaces,
    payloads,
    polling,
    repeats,
    rids,
    streams,
    terminate,
    websocket_close,
    websocket_errors,
    websocket_frames,
    websocket_open,
    xep0206,
)

ORDER = (
    http, compression, cors, body, namespaces, creation, creation_faults, payloads, acks, inactivity, polling,
    terminate, rids, repeats, keys, streams, errors, legacy, xep0206, websocket_open, websocket_errors,
    websocket_frames, websocket_close, discovery,
)  # fmt: skip
"""The modules as the report goes through them."""


def all_checks() -> list[Check]:
    """Every check, in the order of the report."""
    return [check for module in ORDER for check in registered() if check.run.__module__ == module.__name__]
