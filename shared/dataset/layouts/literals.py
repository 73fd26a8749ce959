"""Lists written as text, as they are found in the columns of CSV files: JSON, or what Python prints."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from shared.dataset.errors import RowError
from shared.dataset.rows import count_keys, has_duplicate_key

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)

# Possessive (*+), so that a text without its closing quote is given up at once.
_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<string>'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")
        | (?P<dtype>,\s*+dtype=(?:\w++|'[^']*+')(?=\s*+\)))
        | (?P<array>array\()
        | (?P<opening>[\[{(])
        | (?P<closing>[\]})])
        | (?P<between>[,:])
        | (?P<word>None|True|False|-?\d[\d.eE+-]*+)
    )\s*+""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "'": "'", '"': '"', "\\": "\\"}
_WORDS = {"None": "null", "True": "true", "False": "false"}
# Python's brackets: what closes them, and what they are in JSON.
_CLOSING = {"[": "]", "{": "}", "(": ")", "array(": ")"}
_JSON = {"(": ("[", "]"), "array(": ("", "")}


def read_list(text: str) -> tuple[list[Any], bool] | None:
    """Read a list from text.

    Returns: the list, and whether it was written by Python rather than as JSON; None if the text is no list at all.
    Raises: RowError: it begins like a list, but cannot be read, or an object in it names a key twice.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        value, python = _decode(text), False
    except _MALFORMED:
        text, python = _json_of_python(text), True
        try:
            value = _decode(text)
        except _MALFORMED:
            raise RowError("messages_unreadable") from None
    if not isinstance(value, list):
        raise RowError("messages_unreadable")
    if text.count('":') != count_keys(value) and has_duplicate_key(text.encode()):
        raise RowError("duplicate_key")
    return value, python


def _json_of_python(text: str) -> str:
    """Rewrite what Python prints for a list as JSON.

    ast.literal_eval would build a syntax tree a hundred times the size of the text, and cannot read what NumPy prints:
    `[{'role': 'user'} {'role': 'assistant'}]` without commas, and `array([...], dtype=object)`. That is what pandas
    writes into a CSV file for a list column that came from Parquet.

    Raises: RowError: it is something else.
    """
    parts: list[str] = []
    open_brackets: list[str] = []
    position, after_value = 0, False
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise RowError("messages_unreadable")
        position = token.end()
        kind = token.lastgroup or ""
        found = token[kind]
        if kind == "dtype":
            continue
        if after_value and kind in ("string", "word", "opening", "array"):
            parts.append(",")
        after_value = kind in ("string", "word", "closing")
        if kind in ("array", "opening"):
            open_brackets.append(found)
            parts.append(_JSON.get(found, (found,))[0])
        elif kind == "closing":
            opening = open_brackets.pop() if open_brackets else ""
            if _CLOSING.get(opening) != found:
                raise RowError("messages_unreadable")
            parts.append(_JSON.get(opening, (found,))[-1])
        else:
            parts.append(_string(found) if kind == "string" else _WORDS.get(found, found))
    return "".join(parts)


def _string(token: str) -> str:
    try:
        return _encode(_ESCAPE.sub(_unescaped, token[1:-1])).decode()
    except (UnicodeError, ValueError):
        raise RowError("lone_surrogate") from None


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    if len(code) > 1:
        number = int(code[1:], 16)
        if number > 0x10FFFF:
            raise RowError("messages_unreadable")
        return chr(number)
    return _ESCAPES.get(code, escape[0])
