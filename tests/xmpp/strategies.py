"""XML that is legal and unusual, for property tests: as bytes, because it is bytes that are cut."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st

from boshgate.namespaces import CLIENT, HTTPBIND, STREAMS

unhurried = settings(deadline=None)
"""For property tests: how long an example takes says more about the machine's other work."""

LOCALS = ["a", "message", "body", "features", "error", "stream", "é"]
DEFAULTS = ["", "urn:u", CLIENT, STREAMS, HTTPBIND, "urn:a&amp;b"]
PIECES = [
    "x",
    " ",
    "\n",
    "\t",
    ">",
    "/>",
    "]] >",
    "&amp;",
    "&lt;",
    "&#10;",
    "&#x1F600;",
    "😀",
    "é",
    "\ufeff",
    "p:x",
    "stream:x",
    "=",
]
IN_VALUES = [*PIECES, " xmlns=", " xmlns:p=", " xml:lang=", " xmlns:stream="]
IN_TEXT = [*PIECES, "'", '"', "<![CDATA[</message><x>&no;]]>", "<![CDATA[]]>"]
SPACE = ["", " ", "\n", "\t "]


@st.composite
def attributes(draw: st.DrawFn, prefixes: frozenset[str]) -> str:
    """Attributes of one tag, with *prefixes* declared around it; each with space before it."""
    names = ["a", "to", "xml:lang", "stream", *(f"{prefix}:n{prefix}" for prefix in sorted(prefixes))]
    written = ""
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
        quote = draw(st.sampled_from("'\""))
        other = {"'": '"', '"': "'"}[quote]
        value = "".join(draw(st.lists(st.sampled_from([*IN_VALUES, other]), max_size=4)))
        equals = draw(st.sampled_from(["=", "=", " =\n"]))
        written += f"{draw(st.sampled_from([' ', chr(10), '  ']))}{name}{equals}{quote}{value}{quote}"
    return written


@st.composite
def elements(draw: st.DrawFn, prefixes: frozenset[str] = frozenset(), depth: int = 3) -> str:
    """One element that is well-formed where *prefixes* are declared."""
    declarations = ""
    if draw(st.booleans()):
        declarations += f" xmlns='{draw(st.sampled_from(DEFAULTS))}'"
    for prefix in draw(st.lists(st.sampled_from(["p", "q"]), unique=True, max_size=1)):
        declarations += f' xmlns:{prefix} ="urn:{draw(st.sampled_from("12"))}"'
        prefixes |= {prefix}
    prefix = draw(st.sampled_from(["", "", *(f"{prefix}:" for prefix in sorted(prefixes))]))
    name = prefix + draw(st.sampled_from(LOCALS))
    tag = "".join(draw(st.permutations([declarations, draw(attributes(prefixes))])))
    space = draw(st.sampled_from(SPACE))
    if draw(st.integers(0, 3)) == 0:
        return f"<{name}{tag}{space}/>"
    parts = st.sampled_from(IN_TEXT)
    if depth:
        parts |= elements(prefixes, depth - 1)
    return f"<{name}{tag}>{''.join(draw(st.lists(parts, max_size=4)))}</{name}{space}>"


@dataclass(frozen=True)
class Stream:
    """A stream in pieces, as a server might write it."""

    header: str
    elements: list[str]
    end: str

    @property
    def data(self) -> bytes:
        return (self.header + "".join(self.elements) + self.end).encode()


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """A whole stream with a legal header of any form (RFC 6120 4.8.5), and keepalives between elements."""
    prefix = draw(st.sampled_from(["stream", "stream", "s", ""]))
    if prefix:
        name = f"{prefix}:stream"
        default = draw(
            st.sampled_from([f" xmlns='{CLIENT}'", f' xmlns="{CLIENT}"', "", f"\nxmlns='{STREAMS}'"])
        )
        declarations = f"{default} xmlns:{prefix}='{STREAMS}'"
    else:
        name = "stream"
        declarations = f" xmlns='{STREAMS}'"
    prefixes = {prefix} - {""}
    if draw(st.booleans()):
        declarations += " xmlns:p='urn:p'"
        prefixes |= {"p"}
    declaration = draw(
        st.sampled_from(["", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="UTF-8"?>\n'])
    )
    others = draw(st.sampled_from(["", " id='>' from='é'", ' version="1.0" xml:lang="en"']))
    body = draw(st.lists(elements(frozenset(prefixes), depth=2) | st.sampled_from(SPACE), max_size=4))
    return Stream(f"{declaration}<{name}{declarations}{others}>", body, f"</{name}>")


@st.composite
def splits(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces."""
    size = len(data)
    if draw(st.integers(0, 4)) == 0:
        return [data[index : index + 1] for index in range(size)]
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=6)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, size], strict=True)]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """*data* with some bytes changed, put in or left out."""
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(data)))
        junk = draw(
            st.sampled_from(
                [
                    b"<",
                    b">",
                    b"/",
                    b"'",
                    b"&",
                    b"&x;",
                    b"&#0;",
                    b"\x00",
                    b"\xff",
                    b"\xe2\x28",
                    b"\xc0\xaf",
                    b"\xed\xa0\x80",
                    b"<!-- c -->",
                    b"<?p i?>",
                    b"<?xml version='1.0'?>",
                    b"<!DOCTYPE a>",
                    b"<![CDATA[",
                    b"]]>",
                    b"</stream:stream>",
                    b"xmlns:stream='u'",
                    b" a='1' a='2'",
                    b"text",
                    b"",
                ]
            )
        )
        data = data[:index] + junk + data[index + draw(st.integers(0, 3)) :]
    return data
