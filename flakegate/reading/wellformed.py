"""What bytes that should be a JUnit report are instead, in words, and how they are encoded."""

from __future__ import annotations

import codecs
import re
from xml.parsers import expat

KNOWN_ROOTS = {
    "TestRun": "a Visual Studio test report (TRX)",
    "test-run": "an NUnit 3 report",
    "test-results": "an NUnit 2 report",
    "assemblies": "an xUnit.net report",
    "assembly": "an xUnit.net report",
    "checkstyle": "a Checkstyle report",
    "coverage": "a coverage report",
    "testExecutions": "a SonarQube test report",
    "html": "an HTML page",
    "testcase": "a lone test case without its suite",
}

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([\w.:-]+)[\"']")
_MULTI_BYTE = frozenset({
    "big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jp", "euc_jis_2004", "euc_kr", "gb18030",
    "gb2312", "gbk", "hz", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_kr", "johab",
    "shift_jis", "shift_jis_2004", "shift_jisx0213",
})  # fmt: skip

_TOO_EARLY = frozenset({
    expat.errors.XML_ERROR_NO_ELEMENTS,
    expat.errors.XML_ERROR_UNCLOSED_TOKEN,
    expat.errors.XML_ERROR_PARTIAL_CHAR,
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
})  # fmt: skip
_OTHER_ENCODING = "it is not in the encoding that it declares"
_CAUSES = {
    expat.errors.XML_ERROR_SYNTAX: "it is not XML",
    expat.errors.XML_ERROR_INCORRECT_ENCODING: _OTHER_ENCODING,
    expat.errors.XML_ERROR_UNKNOWN_ENCODING: "its encoding is not known",
    expat.errors.XML_ERROR_NOT_STANDALONE: (
        "it depends on an external DTD, which is never read; have it written without"
    ),
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: "it refers to an entity that XML does not have",
    expat.errors.XML_ERROR_INVALID_TOKEN: (
        "it is not well-formed here: a control character, a stray < or &, "
        "or bytes of another encoding than declared"
    ),
    expat.errors.XML_ERROR_TAG_MISMATCH: (
        "a closing tag does not fit the open one: two processes probably wrote to the same file"
    ),
    expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: (
        "it goes on after the end of its root element: two runs probably wrote to the same file"
    ),
}


def decoder(head: bytes) -> codecs.IncrementalDecoder | None:
    """What must decode the document before expat reads it, by the XML declaration in its head.

    None where expat does so itself: UTF-8, UTF-16, every single-byte encoding, unknown ones.
    """
    if declared := _DECLARED.match(head):
        try:
            codec = codecs.lookup(declared[1].decode("ascii", "replace")).name
        except LookupError:
            return None
        if codec in _MULTI_BYTE:
            return codecs.getincrementaldecoder(codec)()
    return None


def is_html(head: bytes) -> bool:
    """Whether it begins as a web page, such as the error page that a download brought instead."""
    return _HTML.match(head) is not None


def ends_too_early(error: expat.ExpatError | UnicodeDecodeError) -> bool:
    """Whether more bytes could have mended this error: it is raised at the end only."""
    if isinstance(error, UnicodeDecodeError):
        return error.reason.startswith("incomplete")
    return expat.ErrorString(error.code) in _TOO_EARLY


def cause(error: expat.ExpatError | UnicodeDecodeError) -> str:
    """What was probably the matter, in words."""
    if isinstance(error, UnicodeDecodeError):
        return _OTHER_ENCODING
    words = expat.ErrorString(error.code) or "unknown error"
    if words == expat.errors.XML_ERROR_INVALID_TOKEN and (error.lineno, error.offset) == (1, 0):
        return "it is not XML"
    return _CAUSES.get(words, f"it is not well-formed XML ({words})")
