"""Which layout a row is in, which one a file is in, and how a row is read that should be in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.layouts import unreadable
from shared.dataset.layouts.conversations import (
    GEMINI,
    OPENAI,
    PAIRS,
    PROMPT_MESSAGES,
    SHAREGPT,
    List,
    find_list,
    find_weak_list,
    read_list_row,
)
from shared.dataset.layouts.fields import by_name, first
from shared.dataset.layouts.instructions import read_fields
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.shapes import (
    ALPACA,
    COLUMNS,
    PROMPT_COMPLETION,
    QUESTION_ANSWER,
    SHAPES,
    Fields,
    match,
)
from shared.dataset.rows import Row

TITLES: dict[str, str] = {
    PROMPT_MESSAGES: "prompt, messages and prompt_id",
    OPENAI: "OpenAI (messages with role and content)",
    SHAREGPT: "ShareGPT (conversations with from and value)",
    PAIRS: "question and answer pairs in one list",
    GEMINI: "Gemini (contents with role and parts)",
    ALPACA: "Alpaca (instruction, input, output)",
    PROMPT_COMPLETION: "prompt and completion",
    QUESTION_ANSWER: "question and answer",
    COLUMNS: "a column for each role",
}
NAMES: tuple[str, ...] = tuple(TITLES)
LIST_LAYOUTS = (PROMPT_MESSAGES, OPENAI, SHAREGPT, PAIRS, GEMINI)
MESSAGE_LAYOUTS = (PROMPT_MESSAGES, OPENAI, SHAREGPT)
_HALVES = frozenset({unreadable.QUESTIONS, unreadable.ANSWERS})
_QUESTIONS = frozenset(name for shape in SHAPES for name in shape.user)
_ANSWERS = frozenset(name for shape in SHAPES for name in shape.assistant)


def recognise(value: dict[str, Any]) -> List | Fields | unreadable.Known | None:
    """What a row is: readable, known but not readable, or unknown."""
    names = by_name(value)
    if found := find_list(value, names):
        return found
    if known := unreadable.find_before_fields(value, names):
        return known
    return match(names) or find_weak_list(value, names) or unreadable.find_at_last(value, names)


def name_of(value: dict[str, Any]) -> str | None:
    """The name of a row's layout, readable or not."""
    found = recognise(value)
    return found.layout if found else None


def most_frequent(values: Sequence[dict[str, Any]]) -> str | None:
    """The layout most rows are in; the one seen first where two are as frequent.

    Rows without an answer (or a question) tell nothing as long as others have both.
    """
    seen: dict[str, int] = {}
    for value in values:
        if name := name_of(value):
            seen[name] = seen.get(name, 0) + 1
    if seen.keys() - _HALVES:
        seen = {name: count for name, count in seen.items() if name not in _HALVES}
    return max(seen, key=lambda name: seen[name]) if seen else None


@dataclass(frozen=True, slots=True)
class KnownLayout:
    """A layout whose rows are recognised by their fields.

    accepts: the layouts a row may be recognised as.
    """

    name: str
    title: str
    accepts: frozenset[str]
    find: Callable[[dict[str, Any]], List | Fields | unreadable.Known | None] = recognise

    def read(self, value: dict[str, Any], note: Note) -> Row:
        """Read a row. Raises: RowError: it cannot be used."""
        found = self.find(value)
        if isinstance(found, Fields) and found.layout in self.accepts:
            return read_fields(value, found, note)
        if isinstance(found, List) and (found.layout in self.accepts or self._is_empty(found)):
            return read_list_row(value, found, note)
        raise RowError(why_unreadable(value, self.name))

    def _is_empty(self, found: List) -> bool:
        """A list without turns is of any layout that has a list."""
        return found.turns == [] and self.name in LIST_LAYOUTS


def why_unreadable(value: dict[str, Any], layout: str) -> str:
    """Say why a row that was not recognised as `layout` cannot be read as it."""
    if layout not in LIST_LAYOUTS and match(by_name(value, gaps=True), layout):
        return "missing_content"
    found = name_of(value)
    if found is not None and found != layout and found not in _HALVES:
        return "layout_differs"
    if layout in (PROMPT_MESSAGES, OPENAI):
        return "missing_messages"
    if layout in LIST_LAYOUTS:
        return "missing_conversation"
    return missing_side(value)


def missing_side(value: dict[str, Any]) -> str:
    """Say which side a row has not: the question, or else the answer."""
    names = by_name(value)
    return "missing_answer" if first(names, _QUESTIONS) and not first(names, _ANSWERS) else "missing_prompt"


def known(name: str) -> KnownLayout:
    """The layout of that name."""
    accepts = {name, PROMPT_MESSAGES, OPENAI} if name in (PROMPT_MESSAGES, OPENAI) else {name}
    return KnownLayout(name, TITLES[name], frozenset(accepts))


def forced(name: str) -> KnownLayout:
    """The layout of that name for rows that another one would claim too: they are read as this one if they can be."""
    if name in LIST_LAYOUTS:
        accepts = MESSAGE_LAYOUTS if name in MESSAGE_LAYOUTS else (name,)
        return KnownLayout(name, TITLES[name], frozenset(accepts))
    return KnownLayout(name, TITLES[name], frozenset({name}), lambda value: match(by_name(value), name))


def detect(values: Sequence[dict[str, Any]]) -> KnownLayout | None:
    """The layout of a file, by its first rows; None if it is unknown, or known and of no use (see unsupported)."""
    name = most_frequent(values)
    return known(name) if name in TITLES else None


def unsupported(values: Sequence[dict[str, Any]]) -> str | None:
    """What a file holds that is known, but cannot be trained on as it is, and what to do about it."""
    name = most_frequent(values)
    return unreadable.TITLES.get(name) if name else None
