"""Layouts chosen by the user: by name, by mapping columns, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.dataset.errors import PrepareOptionsError, RowError
from shared.dataset.layouts.conversations import OPENAI, STRONG, WEAK, List, layout_of_turns, read_list_row
from shared.dataset.layouts.detect import LIST_LAYOUTS, MESSAGE_LAYOUTS, NAMES, TITLES, KnownLayout, forced
from shared.dataset.layouts.fields import SYSTEM, by_name, first, normal
from shared.dataset.layouts.instructions import read_fields
from shared.dataset.layouts.messages import SHAREGPT_NAMES, Names, names_in
from shared.dataset.layouts.roles import SPELLINGS, Note
from shared.dataset.layouts.shapes import ALPACA, COLUMNS, PROMPT_COMPLETION, SHAPES, Fields
from shared.dataset.layouts.turns import head, list_of
from shared.dataset.rows import Row

_FIELD_ROLES = ("prompt", "user", "assistant", "input", "history")
_LIST_ROLES = ("messages", "role", "content")
_PASSAGES = ("context", "article", "passage")
ROLES_OF_COLUMNS = ("user", "prompt", "assistant", "system", "input", "history", "messages", "role", "content")


def chosen(name: str | None, columns: Mapping[str, str]) -> KnownLayout | MappedFields | MappedList:
    """The layout a user asks for.

    name: of the layout; None to tell it by the columns. columns: what a column is -> its name in the file. user (or
    prompt), assistant, system, input and history name columns; messages names the column of a list, role and content
    the fields of its messages. Columns that are not mapped keep the names usual in the layout, if one is named.

    Raises: PrepareOptionsError: that cannot be; all faults in one message.
    """
    faults = _name_faults(name) + _column_faults(columns) or _combination_faults(name, columns)
    if faults:
        raise PrepareOptionsError("; ".join(faults))
    if name is not None and not columns:
        return forced(name)
    if name in LIST_LAYOUTS or columns.keys() & set(_LIST_ROLES):
        name = name or OPENAI
        return MappedList(name, TITLES[name], dict(columns))
    mapped = {"user" if role == "prompt" else role: column for role, column in columns.items()}
    inferred = ALPACA if {"input", "history"} & mapped.keys() else PROMPT_COMPLETION if "prompt" in columns else COLUMNS
    return MappedFields(name or inferred, TITLES[name or inferred], mapped, usual=name is not None)


def _name_faults(name: object) -> list[str]:
    if name is None or name in NAMES:
        return []
    return [f"layout is {name!r}, expected one of {', '.join(NAMES)}"]


def _column_faults(columns: Mapping[Any, Any]) -> list[str]:
    """What is wrong with each column by itself, and two of them that are one."""
    faults = [
        f"columns map {role!r}, which is not one of {', '.join(ROLES_OF_COLUMNS)}"
        for role in columns
        if role not in ROLES_OF_COLUMNS
    ]
    faults += [
        f"columns map {role} to {column!r}, expected the name of a column"
        for role, column in columns.items()
        if not isinstance(column, str) or not column.strip()
    ]
    if {"prompt", "user"} <= columns.keys():
        faults.append("columns map both prompt and user; they are the same, keep one")
    for inside in (True, False):
        seen: dict[str, str] = {}
        for role, column in columns.items():
            if (role in ("role", "content")) is inside and isinstance(column, str):
                other = seen.setdefault(column, role)
                if other != role:
                    faults.append(f"columns map both {other} and {role} to {column!r}; each needs its own column")
    return faults


def _combination_faults(name: str | None, columns: Mapping[str, str]) -> list[str]:
    """What is wrong with the columns together, and with the layout."""
    fields = [role for role in _FIELD_ROLES if role in columns]
    lists = [role for role in _LIST_ROLES if role in columns]
    if name is None and not fields and not lists:
        return ["columns need user and assistant, or messages, unless a layout is named"]
    if fields and lists:
        return [
            f"columns map {_and(fields)} (a column for each role) and {_and(lists)} (one column with a list of "
            "messages); map one or the other"
        ]
    if name in LIST_LAYOUTS and fields:
        return [f"layout {name} has one column with a list, so {_and(fields)} cannot be mapped; map messages"]
    if name in LIST_LAYOUTS and name not in MESSAGE_LAYOUTS and {"role", "content"} & columns.keys():
        return [f"role and content cannot be mapped for layout {name}; use layout {OPENAI}, or map messages only"]
    if name is not None and name not in LIST_LAYOUTS and lists:
        return [f"layout {name} has a column for each side, so {_and(lists)} cannot be mapped; map user and assistant"]
    if name is None and fields:
        needed = {"user": {"user", "prompt"}, "assistant": {"assistant"}}
        missing = [role for role, any_of in needed.items() if not any_of & columns.keys()]
        if missing:
            return [f"columns map {_and(fields)}, but not {_and(missing)}; map both sides, or name a layout too"]
    return []


def _and(words: list[str]) -> str:
    return " and ".join(words)


def _find(value: Mapping[str, Any], names: Mapping[str, str], column: str) -> str | None:
    """The key a mapped column has in a row; in another case if need be."""
    return column if column in value else names.get(normal(column))


@dataclass(frozen=True, slots=True)
class MappedFields:
    """A layout with a field for each side, some of them named by the user.

    usual: whether what is not mapped is looked for under the layout's own names.
    """

    name: str
    title: str
    columns: dict[str, str] = field(default_factory=dict)
    usual: bool = False

    def read(self, value: dict[str, Any], note: Note) -> Row:
        """Read a row. Raises: RowError: it cannot be used."""
        names = by_name(value, gaps=True)
        user, assistant = self._key("user", value, names), self._key("assistant", value, names)
        if user is None or assistant is None:
            raise RowError("missing_prompt" if user is None else "missing_answer")
        optional: dict[str, str | None] = {}
        for role in ("input", "system", "history"):
            key = self._key(role, value, names)
            if key is None and role in self.columns:
                note("column_missing")
            optional[role] = key if key not in (user, assistant) else None
        is_passage = normal(optional["input"] or "") in _PASSAGES
        input_first = self.usual and is_passage and names.get("question") == user
        return read_fields(value, Fields(self.name, user, assistant, input_first=input_first, **optional), note)

    def _key(self, role: str, value: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
        if role in self.columns:
            return _find(value, names, self.columns[role])
        taken = {_find(value, names, column) for column in self.columns.values()}
        free = {name: key for name, key in names.items() if key not in taken}
        return first(free, _usual_names(self.name, role)) if self.usual else None


def _usual_names(layout: str, role: str) -> list[str]:
    if role == "system":
        return list(SYSTEM)
    if role == "history":
        return ["history"]
    shapes = [shape for shape in SHAPES if shape.layout == layout]
    return [
        name for shape in shapes for name in {"user": shape.user, "assistant": shape.assistant}.get(role, shape.input)
    ]


@dataclass(frozen=True, slots=True)
class MappedList:
    """A layout with one list of turns, whose column or whose messages' fields are named by the user."""

    name: str
    title: str
    columns: dict[str, str] = field(default_factory=dict)

    def read(self, value: dict[str, Any], note: Note) -> Row:
        """Read a row. Raises: RowError: it cannot be used."""
        names = by_name(value)
        key = self._list_key(value, names)
        turns = list_of(value[key], note) if key is not None else None
        if key is None or turns is None:
            raise RowError("missing_conversation")
        found = List(layout_of_turns(turns), key, turns, self._system_key(value, names, note))
        return read_list_row(value, found, note, self._names(turns))

    def _list_key(self, value: Mapping[str, Any], names: Mapping[str, str]) -> str | None:
        if "messages" in self.columns:
            return _find(value, names, self.columns["messages"])
        return first(names, (*STRONG, *WEAK))

    def _system_key(self, value: Mapping[str, Any], names: Mapping[str, str], note: Note) -> str | None:
        if "system" not in self.columns:
            return first(names, SYSTEM)
        key = _find(value, names, self.columns["system"])
        if key is None:
            note("column_missing")
        return key

    def _names(self, turns: list[Any]) -> Names | None:
        """The names within a message; None where nothing was said about them."""
        role, content = self.columns.get("role"), self.columns.get("content")
        if role is None and content is None:
            return None
        usual = names_in(head(turns), SHAREGPT_NAMES)
        both = role is not None and content is not None
        return Names(role or usual.role, content or usual.content, SPELLINGS, certain=both)
