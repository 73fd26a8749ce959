"""Rows from the levels and values of their columns.

How lists and nulls are stored: Dremel (Melnik and others, 2010), section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress, pairwise
from typing import Any

from shared.dataset.parquet.faults import DamagedError
from shared.dataset.parquet.footer import MAP, STRUCT, Group, Leaf, Node, leaves_below
from shared.dataset.parquet.leaves import Levels

Columns = dict[Leaf, Levels]


def rows_of(root: Group, columns: Columns) -> list[dict[str, Any]]:
    """Rows as dicts. Raises: DamagedError: the columns contradict each other, or themselves."""
    try:
        return _objects(root, columns)
    except (StopIteration, LookupError, AttributeError, ValueError):
        raise DamagedError from None


def _values(node: Node, columns: Columns) -> list[Any]:
    """A value for each place where there may be one: all that is around it is there."""
    if isinstance(node, Leaf):
        return _leaf_values(node, columns[node])
    if node.shape != STRUCT:
        return _lists(node, columns)
    if not node.is_optional:
        return _objects(node, columns)
    levels = _first(node, columns)
    objects = _objects(node, _within(node, node.definition, columns))
    if min(levels.definitions, default=0) >= node.definition:
        return objects
    left = iter(objects)
    places = zip(levels.repetitions, levels.definitions, strict=True)  # what repeats deeper is within a place
    return [
        next(left) if definition >= node.definition else None
        for repetition, definition in places
        if repetition <= node.repetition
    ]


def _leaf_values(leaf: Leaf, levels: Levels) -> list[Any]:
    if len(levels.values) == len(levels.definitions):
        return levels.values
    values = iter(levels.values)
    return [next(values) if level == leaf.definition else None for level in levels.definitions]


def _objects(node: Group, columns: Columns) -> list[dict[str, Any]]:
    found = [_values(child, columns) for child in node.children]
    count = len(found[0])
    if any(len(values) != count for values in found):
        raise DamagedError
    blank: dict[str, Any] = dict.fromkeys(node.names)
    objects = [blank.copy() for _ in range(count)]  # a quarter of the time that dict(zip(...)) takes
    for name, values in zip(node.names, found, strict=True):
        for each, value in zip(objects, values, strict=True):
            each[name] = value
    return objects


def _lists(node: Group, columns: Columns) -> list[Any]:
    inner = _within(node, node.definition + 1, columns)
    items = _entries(node, inner) if node.shape == MAP else _values(node.children[0], inner)
    levels = _first(node, columns)
    found: list[Any]
    starts: list[int] = []
    if len(items) == len(levels.repetitions):  # none of the lists is null or empty, nothing repeats deeper
        starts = [at for at, repetition in enumerate(levels.repetitions) if repetition <= node.repetition]
    if starts[:1] == [0]:
        found = [items[start:end] for start, end in pairwise([*starts, len(items)])]
    else:
        found = _sparse_lists(node, levels, iter(items))
    return [item if item is None else dict(item) for item in found] if node.shape == MAP else found


def _sparse_lists(node: Group, levels: Levels, items: Iterator[Any]) -> list[Any]:
    found: list[Any] = []
    for repetition, definition in zip(levels.repetitions, levels.definitions, strict=True):
        if repetition <= node.repetition:
            found.append(None if definition < node.definition else [])
        if definition > node.definition and repetition <= node.repetition + 1:
            found[-1].append(next(items))
    return found


def _entries(node: Group, columns: Columns) -> list[tuple[str, Any]]:
    keys, values = (_values(child, columns) for child in node.children)
    return [(str(key), value) for key, value in zip(keys, values, strict=True)]


def _first(node: Node, columns: Columns) -> Levels:
    """All columns below a node agree about the node itself: the first one is asked."""
    while isinstance(node, Group):
        node = node.children[0]
    return columns[node]


def _within(node: Group, definition: int, columns: Columns) -> Columns:
    """The columns below a node, without the places where it is not there."""
    return {leaf: _at_least(definition, columns[leaf]) for leaf in leaves_below(node)}


def _at_least(definition: int, levels: Levels) -> Levels:
    if min(levels.definitions, default=definition) >= definition:
        return levels
    there = [level >= definition for level in levels.definitions]
    return Levels(list(compress(levels.repetitions, there)), list(compress(levels.definitions, there)), levels.values)
