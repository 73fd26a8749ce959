"""Arrow's values as Python's."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import types


def plain_rows(batch: pa.RecordBatch, *, has_maps: bool) -> list[dict[str, Any]]:
    """Every row as a dict, maps too. A text that is not UTF-8 stays bytes: Arrow does not check what it reads."""
    if not has_maps:  # Arrow's own way is ten times slower, too, once it is told to make dicts of maps
        try:
            rows: list[dict[str, Any]] = batch.to_pylist()
        except UnicodeDecodeError:
            pass
        else:
            return rows
    names, columns = batch.schema.names, batch.columns
    return [{name: _value(column[at]) for name, column in zip(names, columns, strict=True)} for at in range(len(batch))]


def holds_map(kind: pa.DataType) -> bool:
    """True if there is a map in a type, at any depth."""
    return types.is_map(kind) or any(holds_map(kind.field(number).type) for number in range(kind.num_fields))


def _value(scalar: pa.Scalar) -> Any:
    """The careful way: one value after the other."""
    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.BinaryScalar):  # strings, too
        return _text(scalar.as_buffer().to_pybytes())
    if isinstance(scalar, pa.DictionaryScalar):
        return _value(scalar.value)
    if isinstance(scalar, pa.MapScalar):
        entries = scalar.values
        return {str(_value(key)): _value(item) for key, item in zip(entries.field(0), entries.field(1), strict=True)}
    if isinstance(scalar, pa.ListScalar):
        return [_value(item) for item in scalar.values]
    if isinstance(scalar, pa.StructScalar):
        return {scalar.type.field(at).name: _value(scalar[at]) for at in range(len(scalar.type))}
    return scalar.as_py()


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
