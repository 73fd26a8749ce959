"""A row as it is written, and the decoders that read one."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from shared import typed
from shared.dataset.encodings import is_utf8
from shared.dataset.errors import RowError

Role = Literal["user", "assistant", "system"]


class Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One turn. The field order is the seed data's."""

    content: str
    role: Role


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """One conversation. Well-formed rows of both layouts are exactly this, with or without prompt and prompt_id."""

    prompt: str | msgspec.UnsetType | None = msgspec.UNSET
    messages: list[Message]
    prompt_id: str | msgspec.UnsetType | None = msgspec.UNSET


encode_row = msgspec.json.Encoder().encode
decode_row = typed.decoder(Row).decode
_decode_any = msgspec.json.Decoder().decode
_MESSAGES = b',"messages":['
PROMPT_ID = b',"prompt_id":'
_OWN_PROMPT_ID_BYTES = len(PROMPT_ID) + 66
_LARGE = 2 * 1024 * 1024
MAX_VALUES = 1_000_000  # in one row: decoded without a type, each takes up to 100 bytes, however short it is written
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def decode_object(line: bytes) -> dict[str, Any]:
    """Decode a line that is not exactly a Row.

    Raises: RowError: it is no JSON object; the reason says what it is instead.
    """
    if len(line) > _LARGE and line.count(b",") + line.count(b"[") + line.count(b"{") > MAX_VALUES:
        raise RowError("too_many_values")
    try:
        value = _decode_any(line)
    except UnicodeDecodeError:
        raise RowError("invalid_utf8") from None
    except RecursionError:
        raise RowError("nested_too_deeply") from None
    except msgspec.ValidationError:  # without a type, only numbers are checked
        raise RowError("number_too_large") from None
    except msgspec.DecodeError:
        raise RowError(_why_malformed(line)) from None
    if not isinstance(value, dict):
        raise RowError("not_an_object")
    if line.count(b'":') != count_keys(value) and has_duplicate_key(line):
        raise RowError("duplicate_key")
    return value


def _why_malformed(line: bytes) -> str:
    """msgspec calls half a surrogate pair malformed; Python's parser does not. So their difference tells."""
    if not is_utf8(line):
        return "invalid_utf8"
    if not _SURROGATE.search(line):
        return "invalid_json"
    try:
        json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return "invalid_json"
    return "lone_surrogate"


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def check_keys(line: memoryview, keys: int, encoded: bytes, no_prompt: bool, no_prompt_id: bool) -> None:
    """Refuse a row that names a key twice; decoders silently take the last one.

    A line exactly as long as what this package writes for it, or longer by json.dumps' spaces, has no room for another
    key; only other lines (escaped text, other white space) are searched.

    keys: number of keys the row was decoded from. no_prompt, no_prompt_id: what `encoded` has and the line has not.
    Raises: RowError: a key is there twice.
    """
    surplus = len(line) - len(encoded)
    if no_prompt:
        surplus += encoded.find(_MESSAGES)
    if no_prompt_id:
        surplus += _OWN_PROMPT_ID_BYTES
    if not surplus or surplus == 2 * keys - 2:
        return
    text = bytes(line).strip()
    surplus += len(text) - len(line)
    if surplus in (0, 2 * keys - 2) or text.count(b'":') == keys:
        return
    if has_duplicate_key(text):
        raise RowError("duplicate_key")


def count_keys(value: object) -> int:
    """Number of keys in all objects of a decoded value. Not recursive: nothing limits the depth but the decoder."""
    keys = 0
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            keys += len(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return keys


def has_duplicate_key(line: bytes) -> bool:
    """Whether an object in a line of valid JSON names a key twice. Slow: for lines already under suspicion."""
    try:
        json.loads(line, object_pairs_hook=_unique)
    except KeyError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise KeyError
