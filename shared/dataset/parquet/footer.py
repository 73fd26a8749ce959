"""The footer of a Parquet file: its schema as a tree, and where the columns of its row groups lie.

The format: parquet.thrift of apache/parquet-format; LogicalTypes.md says how old files write lists and maps.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from shared.dataset.parquet.faults import DamagedError, EncryptedError
from shared.dataset.parquet.thrift import Fields, Reader

STRUCT, LIST, MAP = "struct", "list", "map"
BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED = range(8)

_MOST_BYTES = 64 * 1024 * 1024
_MOST_NESTED = 128
_REQUIRED, _OPTIONAL, _REPEATED = range(3)
_LOGICAL_MAP, _LOGICAL_LIST = 2, 3  # fields of the union LogicalType
_CONVERTED_MAP, _CONVERTED_KEY_VALUE, _CONVERTED_LIST = 1, 2, 3  # ConvertedType, the older way


@dataclass(frozen=True, eq=False)
class Leaf:
    """A column. definition: the level of a value that is there; optional: one level below it is none.

    repetition: how many lists it is in. annotation: what the schema says of it besides its type.
    """

    number: int
    path: str
    type: int
    length: int
    definition: int
    repetition: int
    is_optional: bool
    annotation: Fields = field(repr=False)


@dataclass(frozen=True, eq=False)
class Group:
    """What holds others. definition: the level at which it is there.

    A list is told by its only child, a map by its key and its value; both have one more repetition than their parent,
    and one more definition for each of their items.
    """

    shape: str
    definition: int
    repetition: int
    is_optional: bool
    names: tuple[str, ...]
    children: tuple[Node, ...]


Node = Leaf | Group


class Chunk(NamedTuple):
    """A column of a row group. start, size: its pages in the file. values: with what is null."""

    codec: int
    start: int
    size: int
    unpacked: int
    values: int


class RowGroup(NamedTuple):
    """at: where the footer describes it."""

    rows: int
    at: int


@dataclass(frozen=True)
class Footer:
    """data: its bytes; start: where they are in the file, behind all pages. rows: as the file says."""

    data: bytes = field(repr=False)
    start: int
    rows: int
    root: Group
    leaves: list[Leaf]
    groups: list[RowGroup]

    def chunks(self, group: RowGroup, wanted: list[Leaf]) -> list[Chunk]:
        """Where the wanted columns of a row group lie."""
        found = Reader(self.data, group.at).struct()[1]
        if len(found) != len(self.leaves):
            raise DamagedError
        chunks = [_chunk(found[leaf.number], leaf) for leaf in wanted]
        if any(chunk.start + chunk.size > self.start for chunk in chunks):
            raise DamagedError
        return chunks


def read_at(file: BinaryIO, at: int, size: int) -> bytes:
    """Read bytes of an unbuffered file. Returns: fewer where it ends."""
    file.seek(at)
    return file.read(size)


def read_footer(file: BinaryIO) -> Footer:
    """Read the footer of a file that has one.

    Raises: EncryptedError, DamagedError, and whatever Python raises when bytes are not what they should be.
    """
    end = file.seek(0, io.SEEK_END) - 8
    size = int.from_bytes(read_at(file, end, 4), "little")
    if not 0 < size <= min(end - 4, _MOST_BYTES):
        raise DamagedError
    data = read_at(file, end - size, size)
    elements, rows, groups = _parts(Reader(data))
    leaves: list[Leaf] = []
    root = _Schema(elements, leaves).root()
    return Footer(data, end - size, rows, root, leaves, groups)


def _parts(reader: Reader) -> tuple[list[Fields], int, list[RowGroup]]:
    """A row group is described by its columns, thousands perhaps: all groups at once would take much memory."""
    elements: list[Fields] = []
    groups: list[RowGroup] = []
    rows = 0
    for number, kind in reader.fields():
        if number == 4:
            for _ in range(reader.items()[0]):
                at = reader.at
                groups.append(RowGroup(_count(reader.struct()[3]), at))
            continue
        value = reader.value(kind)
        if number == 2:
            elements = value
        elif number == 3:
            rows = _count(value)
        elif number == 8:
            raise EncryptedError
    return elements, rows, groups


def _chunk(found: Fields, leaf: Leaf) -> Chunk:
    if 8 in found or 9 in found:
        raise EncryptedError
    metadata = found[3]
    if metadata[1] != leaf.type or found.get(1):  # in a file of its own
        raise DamagedError
    start, dictionary = metadata[9], metadata.get(11, 0)
    if 0 < dictionary < start:
        start = dictionary
    return Chunk(metadata[4], _count(start), _count(metadata[7]), _count(metadata[6]), _count(metadata[5]))


def _count(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise DamagedError
    return value


class _Schema:
    """The schema is a list of elements, each before its children."""

    def __init__(self, elements: list[Fields], leaves: list[Leaf]) -> None:
        self._elements = iter(elements)
        self._leaves = leaves

    def root(self) -> Group:
        element = self._next()
        names, children = self._children(element.get(5, 0), (), 0, 0)
        if next(self._elements, None) is not None:
            raise DamagedError
        return Group(STRUCT, 0, 0, False, names, children)

    def _children(
        self, count: int, path: tuple[str, ...], definition: int, repetition: int
    ) -> tuple[tuple[str, ...], tuple[Node, ...]]:
        found = [self._field(path, definition, repetition) for _ in range(count)]
        return tuple(name for name, _ in found), tuple(node for _, node in found)

    def _field(self, path: tuple[str, ...], definition: int, repetition: int) -> tuple[str, Node]:
        element = self._next()
        name = sys.intern(element[4].decode("utf-8", "replace"))
        path = (*path, name)
        if len(path) > _MOST_NESTED:
            raise DamagedError
        occurs = element.get(3, _REQUIRED)
        if occurs == _REPEATED:  # a list without further words: never null, and nor are its items
            item = self._node(element, path, definition + 1, repetition + 1, is_optional=False)
            return name, Group(LIST, definition, repetition, False, ("",), (item,))
        is_optional = occurs == _OPTIONAL
        return name, self._node(element, path, definition + is_optional, repetition, is_optional=is_optional)

    def _node(
        self, element: Fields, path: tuple[str, ...], definition: int, repetition: int, *, is_optional: bool
    ) -> Node:
        count = element.get(5, 0)
        if not count and 1 in element:
            return self._leaf(element, path, definition, repetition, is_optional=is_optional)
        shape = _shape(element) if count == 1 else STRUCT
        if shape != STRUCT:
            return self._collection(shape, path, definition, repetition, is_optional=is_optional)
        names, children = self._children(count, path, definition, repetition)
        return Group(STRUCT, definition, repetition, is_optional, names, children)

    def _leaf(
        self, element: Fields, path: tuple[str, ...], definition: int, repetition: int, *, is_optional: bool
    ) -> Leaf:
        annotation: Fields = {number: element[number] for number in (6, 10) if number in element}
        type_, length = element[1], element.get(2, 0)
        leaf = Leaf(len(self._leaves), ".".join(path), type_, length, definition, repetition, is_optional, annotation)
        self._leaves.append(leaf)
        return leaf

    def _collection(
        self, shape: str, path: tuple[str, ...], definition: int, repetition: int, *, is_optional: bool
    ) -> Group:
        """A list or a map, whose only child is repeated."""
        element = self._next()
        name = element[4].decode("utf-8", "replace")
        if element.get(3) != _REPEATED:
            raise DamagedError
        below = ((*path, name), definition + 1, repetition + 1)
        count = element.get(5, 0)
        if shape == LIST and (count != 1 or name in ("array", f"{path[-1]}_tuple")):
            item = self._node(element, *below, is_optional=False)
            return Group(LIST, definition, repetition, is_optional, ("",), (item,))
        names, children = self._children(count, *below)
        if shape == MAP and count != 2:
            if count != 1:
                raise DamagedError
            shape = LIST  # keys alone
        return Group(shape, definition, repetition, is_optional, names, children)

    def _next(self) -> Fields:
        element = next(self._elements, None)
        if element is None:
            raise DamagedError
        return element


def _shape(element: Fields) -> str:
    logical, converted = element.get(10, {}), element.get(6)
    if _LOGICAL_LIST in logical or converted == _CONVERTED_LIST:
        return LIST
    if _LOGICAL_MAP in logical or converted in (_CONVERTED_MAP, _CONVERTED_KEY_VALUE):
        return MAP
    return STRUCT


def leaves_below(node: Node) -> Iterator[Leaf]:
    """Every leaf, in the order they are stored."""
    if isinstance(node, Leaf):
        yield node
    else:
        for child in node.children:
            yield from leaves_below(child)
