"""Which columns of a Parquet file can be part of a conversation; the others are not even read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet as pq
from pyarrow import types

from shared.dataset.errors import UnusableFileError

_MAX_COLUMNS = 2000
_MAX_DEPTH = 8  # lists and structs around a text; conversations need three
_NAMED = 10
_NAME_CHARACTERS = 60
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
_TEXT, _NUMBER = "text", "number"
_READ = (_TEXT, _NUMBER)


class Columns(NamedTuple):
    """paths: the leaves to read, None for all of them. skipped: the others, each with what it holds."""

    paths: list[str] | None
    skipped: tuple[str, ...]


def choose_columns(file: pq.ParquetFile) -> Columns:
    """Choose what to read: texts, and the numbers beside them.

    Left out are binary values (images, audio), lists of numbers (embeddings, token ids), times, decimals, and what is
    nested deeper than any conversation.
    Raises: UnusableFileError: no text at all, or too many columns.
    """
    stored = file.schema
    if len(stored) > _MAX_COLUMNS:
        raise UnusableFileError(
            f"the Parquet file has {len(stored):,} columns; at most {_MAX_COLUMNS:,} can be read",
            format="parquet",
        )
    kinds: list[str] = []
    for field in file.schema_arrow:
        found = list(_kinds(field.type, depth=0, in_list=False))
        kinds += ["row labels of pandas"] * len(found) if _PANDAS_INDEX.fullmatch(field.name) else found
    paths = [stored.column(number).path for number in range(len(stored))]
    leaves = list(zip(paths, kinds, strict=True))  # a ValueError if the two schemas differ: they lie
    skipped = tuple(f"{path[:_NAME_CHARACTERS]} ({kind})" for path, kind in leaves if kind not in _READ)
    if _TEXT not in kinds:
        held = "; ".join(skipped[:_NAMED]) or ("only numbers" if paths else "no columns")
        more = f"; and {len(skipped) - _NAMED:,} more" if len(skipped) > _NAMED else ""
        raise UnusableFileError(f"no column of the Parquet file holds text: {held}{more}", format="parquet")
    return Columns([path for path, kind in leaves if kind in _READ] if skipped else None, skipped)


def _kinds(kind: pa.DataType, *, depth: int, in_list: bool) -> Iterator[str]:
    """What each leaf below a type holds, in the order they are stored."""
    if isinstance(kind, pa.DictionaryType):
        yield _leaf(kind.value_type, in_list=in_list) if depth <= _MAX_DEPTH else "nested too deeply"
    elif kind.num_fields and not isinstance(kind, pa.BaseExtensionType):
        for number in range(kind.num_fields):
            # A map is stored as a list of structs: its values may be numbers.
            yield from _kinds(kind.field(number).type, depth=depth + 1, in_list=_is_list(kind))
    else:
        yield _leaf(kind, in_list=in_list) if depth <= _MAX_DEPTH else "nested too deeply"


def _is_list(kind: pa.DataType) -> bool:
    return types.is_nested(kind) and not types.is_struct(kind) and not types.is_map(kind)


def _leaf(kind: pa.DataType, *, in_list: bool) -> str:
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _TEXT
    if types.is_null(kind):
        return _NUMBER
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return "list of numbers" if in_list else _NUMBER
    return str(kind)[:_NAME_CHARACTERS]
