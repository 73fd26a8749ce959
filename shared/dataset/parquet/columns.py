"""Which columns of a Parquet file can be part of a conversation; the others are not even read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from shared.dataset.errors import UnusableFileError
from shared.dataset.parquet.footer import (
    BOOLEAN,
    BYTE_ARRAY,
    DOUBLE,
    FIXED,
    FLOAT,
    INT32,
    INT64,
    INT96,
    LIST,
    MAP,
    Footer,
    Group,
    Leaf,
    Node,
    leaves_below,
)

_MAX_COLUMNS = 2000
_MAX_DEPTH = 8  # lists and structs around a text; conversations need three
_NAMED = 10
_NAME_CHARACTERS = 60
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")
TEXT, NUMBER = "text", "number"
# What the schema may say of a column's values: fields of the union LogicalType, or numbers of the older ConvertedType.
_LOGICAL = {
    1: TEXT,
    4: TEXT,
    5: "decimal",
    6: "date",
    7: "time",
    8: "timestamp",
    10: NUMBER,
    11: NUMBER,  # nothing but nulls
    12: TEXT,
    14: "uuid",
    15: NUMBER,
}
_CONVERTED = {0: TEXT, 4: TEXT, 5: "decimal", 6: "date", 7: "time", 8: "time", 9: "timestamp", 10: "timestamp"}
_CONVERTED |= dict.fromkeys(range(11, 19), NUMBER) | {19: TEXT, 21: "interval"}
_NUMBERS = (BOOLEAN, INT32, INT64, FLOAT, DOUBLE)


class Columns(NamedTuple):
    """root: the schema without what is left out, leaves: of it. skipped: the others, each with what it holds."""

    root: Group
    leaves: list[Leaf]
    skipped: tuple[str, ...]


def choose_columns(footer: Footer) -> Columns:
    """Choose what to read: texts, and the numbers beside them.

    Left out are binary values (images, audio), lists of numbers (embeddings, token ids), times, decimals, and what is
    nested deeper than any conversation.
    Raises: UnusableFileError: no text at all, or too many columns.
    """
    if len(footer.leaves) > _MAX_COLUMNS:
        raise UnusableFileError(
            f"the Parquet file has {len(footer.leaves):,} columns; at most {_MAX_COLUMNS:,} can be read",
            format="parquet",
        )
    kinds: dict[Leaf, str] = {}
    for name, node in zip(footer.root.names, footer.root.children, strict=True):
        found = _kinds(node, depth=0, in_list=False)
        kinds |= dict.fromkeys(leaves_below(node), "row labels of pandas") if _PANDAS_INDEX.fullmatch(name) else found
    skipped = tuple(
        f"{leaf.path[:_NAME_CHARACTERS]} ({kind})" for leaf, kind in kinds.items() if kind not in (TEXT, NUMBER)
    )
    root = _pruned(footer.root, {leaf for leaf, kind in kinds.items() if kind in (TEXT, NUMBER)})
    leaves = list(leaves_below(root)) if root else []
    if root is None or TEXT not in (kinds[leaf] for leaf in leaves):
        held = "; ".join(skipped[:_NAMED]) or ("only numbers" if kinds else "no columns")
        more = f"; and {len(skipped) - _NAMED:,} more" if len(skipped) > _NAMED else ""
        raise UnusableFileError(f"no column of the Parquet file holds text: {held}{more}", format="parquet")
    return Columns(root, leaves, skipped)


def _kinds(node: Node, *, depth: int, in_list: bool) -> dict[Leaf, str]:
    """What each leaf below a node holds."""
    if isinstance(node, Leaf):
        return {node: _kind(node, in_list=in_list) if depth <= _MAX_DEPTH else "nested too deeply"}
    found: dict[Leaf, str] = {}
    for child in node.children:
        found |= _kinds(child, depth=depth + 1, in_list=node.shape == LIST)
    return found


def _kind(leaf: Leaf, *, in_list: bool) -> str:
    kind = _declared(leaf)
    return "list of numbers" if kind == NUMBER and in_list else kind


def _declared(leaf: Leaf) -> str:
    logical = next(iter(leaf.annotation.get(10, ())), None)
    said = _LOGICAL.get(logical) if logical is not None else _CONVERTED.get(leaf.annotation.get(6, -1))
    if leaf.type == INT96:
        return "timestamp"
    if leaf.type == BYTE_ARRAY:
        return said if said and said != NUMBER else "binary"
    if leaf.type == FIXED:
        return said if said and said != TEXT else "binary"
    if leaf.type in _NUMBERS:
        return said if said and said != TEXT else NUMBER
    return "unknown"


def _pruned(node: Group, wanted: set[Leaf]) -> Group | None:
    """A group without the leaves that are not wanted, None if nothing is left."""
    left = [(name, child) for name, child in zip(node.names, _children(node, wanted), strict=True) if child is not None]
    if not left or (node.shape == MAP and len(left) < 2):  # neither keys nor values alone say anything
        return None
    return replace(node, names=tuple(name for name, _ in left), children=tuple(child for _, child in left))


def _children(node: Group, wanted: set[Leaf]) -> Iterator[Node | None]:
    for child in node.children:
        yield _pruned(child, wanted) if isinstance(child, Group) else (child if child in wanted else None)
