"""Finding elements in a document, and putting others in their place."""

from boshgate.xmpp.edits import Edit, edit, element_spans
from boshgate.xmpp.xml import Element


def test_elements_are_found_with_their_bytes() -> None:
    data = b"<r xmlns='u' a='>'> <a b='/>'><a/></a\n><p:b xmlns:p='v'/>text<c></c></r>"
    spans = element_spans(data)
    assert [(span.name, span.level) for span in spans] == [
        ("{u}a", 2),
        ("{u}a", 1),
        ("{v}b", 1),
        ("{u}c", 1),
        ("{u}r", 0),
    ]
    assert [data[span.begin : span.end] for span in spans] == [
        b"<a/>",
        b"<a b='/>'><a/></a\n>",
        b"<p:b xmlns:p='v'/>",
        b"<c></c>",
        data,
    ]


def test_an_edit_leaves_all_other_bytes() -> None:
    element = Element("a", b"<a>0123456789</a>")
    assert edit(element, []) is element
    edits = [Edit(3, 5, b""), Edit(6, 6, b"<b/>"), Edit(8, 9, b"x")]
    assert edit(element, edits) == Element("a", b"<a>2<b/>34x6789</a>")
