"""Decoding into types, safely in threads.

msgspec (0.22) works out what a struct looks like when it is first decoded, and keeps that at the class before it is
complete. A second thread that decodes the same struct in this moment reads what is not there yet, and the process dies
of a segmentation fault. A worker of Azure Functions begins with several calls at once, so each type is made ready here,
under a lock; only this module hands types to msgspec.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_lock = Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of JSON into a type; the same for every call."""
    found = _decoders.get(kind)
    if found is None:
        with _lock:
            found = _decoders.get(kind) or msgspec.json.Decoder(kind)
            _decoders[kind] = found
    return found


def decode(data: bytes | str, kind: type[T]) -> T:
    """Decode JSON into a type. Raises: msgspec.ValidationError; msgspec.DecodeError, UnicodeDecodeError: it is none."""
    return decoder(kind).decode(data)


def convert(value: Any, kind: type[T], *, strict: bool = True) -> T:
    """Make a type of plain data. Raises: msgspec.ValidationError."""
    decoder(kind)
    return msgspec.convert(value, kind, strict=strict)
