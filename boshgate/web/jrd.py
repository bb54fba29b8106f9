"""The JSON format of resource descriptors, JRD (RFC 6415 appendix A): reading with all checks, and writing.

Whatever is read here can be written as XML too: texts with characters that XML has not are refused.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

from boshgate.errors import UpstreamError
from boshgate.web.descriptor import LINK_ATTRIBUTES, Descriptor, Link, Properties

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 section 2.2, production Char: what it leaves out."""

_MAX_DEPTH: Final = 10
"""Arrays and objects inside each other; RFC 6415 needs four."""

_DEFAULT_LANGUAGE: Final = "default"
"""The name of a title without ``xml:lang``."""


def read_jrd(data: bytes) -> Descriptor:
    """Read a JRD; raises UpstreamError if *data* is none."""
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(f"not JSON: {error}") from None
    _check_texts(document, 0)
    members = _object("the document", document)
    return Descriptor(
        subject=_text("subject", members.pop("subject", None)),
        expires=_text("expires", members.pop("expires", None)),
        aliases=tuple(_string("aliases", alias) for alias in _array("aliases", members.pop("aliases", None))),
        properties=_properties(members.pop("properties", None)),
        links=tuple(_link(link) for link in _array("links", members.pop("links", None))),
        members=members,
    )


def write_jrd(document: Descriptor) -> bytes:
    """Write *document* as JRD, in ASCII."""
    members: dict[str, Any] = {}
    if document.subject is not None:
        members["subject"] = document.subject
    if document.expires is not None:
        members["expires"] = document.expires
    if document.aliases:
        members["aliases"] = list(document.aliases)
    if document.properties:
        members["properties"] = dict(document.properties)  # of several with one type, the last
    members |= document.members
    members["links"] = [_link_members(link) for link in document.links]
    return json.dumps(members, indent=2, allow_nan=False).encode("ascii") + b"\n"


def _link_members(link: Link) -> dict[str, Any]:
    # An attribute of another namespace is an extension, and those are left to XML.
    members: dict[str, Any] = {k: v for k, v in link.attributes.items() if not k.startswith("{")}
    if link.titles:
        members["titles"] = {language or _DEFAULT_LANGUAGE: text for language, text in link.titles}
    if link.properties:
        members["properties"] = dict(link.properties)
    return members | link.members


def _link(value: Any) -> Link:
    members = _object("links", value)
    attributes = {name: _string(name, members.pop(name)) for name in LINK_ATTRIBUTES if name in members}
    titles = _object("titles", members.pop("titles", {}))
    properties = _properties(members.pop("properties", None))
    return Link(
        attributes,
        tuple(
            (None if language == _DEFAULT_LANGUAGE else language, _string("titles", text))
            for language, text in titles.items()
        ),
        properties,
        members=members,
    )


def _properties(value: Any) -> Properties:
    properties = {} if value is None else _object("properties", value)
    return tuple((name, _text("properties", text)) for name, text in properties.items())


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UpstreamError(f"not JRD: {name} is not an object")
    return dict(value)


def _array(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise UpstreamError(f"not JRD: {name} is not an array")
    return value


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UpstreamError(f"not JRD: {name} is not a string")
    return value


def _text(name: str, value: Any) -> str | None:
    return None if value is None else _string(name, value)


def _check_texts(value: Any, depth: int) -> None:
    """Refuse what cannot be written again: depth, characters, numbers."""
    if depth > _MAX_DEPTH:
        raise UpstreamError("not JRD: arrays or objects nested too deep")
    if isinstance(value, str):
        if _NOT_XML.search(value):
            raise UpstreamError("not JRD: a character that XML does not allow")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise UpstreamError("not JSON: a number that is too large")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_texts(name, depth)
            _check_texts(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item, depth + 1)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value")
