"""Lists of turns in one field: messages, pairs of question and answer, or texts that alternate."""

from __future__ import annotations

from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.layouts.fields import by_name
from shared.dataset.layouts.literals import read_list
from shared.dataset.layouts.messages import ROLE_NAMES, SHAREGPT_NAMES, names_in, read_messages
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.shapes import match, question_text
from shared.dataset.layouts.texts import field_text, first_text
from shared.dataset.rows import Message, Role

_ALTERNATING: tuple[Role, Role] = ("user", "assistant")


def list_of(value: object, note: Note) -> list[Any] | None:
    """Read a list: one that is there, one written as text, or the columns of one, as Hugging Face datasets store it.

    Returns: None for anything else.
    Raises: RowError: it begins like a list, but cannot be read.
    """
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        found = read_list(value)
        if found and found[1]:
            note("python_list")
        return found[0] if found else None
    if isinstance(value, dict):
        return _rows_of_columns(value)
    return None


def _rows_of_columns(columns: dict[str, Any]) -> list[Any] | None:
    """{"role": ["user", ...], "content": ["Hi", ...]} is a list of messages turned on its side."""
    values = list(columns.values())
    if len(values) < 2 or not all(isinstance(column, list) for column in values):
        return None
    if len({len(column) for column in values}) != 1:
        return None
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def head(turns: object) -> Any:
    """The first turn that is there at all."""
    return next((turn for turn in turns if turn is not None), None) if isinstance(turns, list) else None


def role_name(turn: object) -> str | None:
    """Under which normal name a turn says who speaks."""
    if not isinstance(turn, dict):
        return None
    names = by_name(turn)
    return next((name for name in ROLE_NAMES if name in names), None)


def has_role(turns: object) -> bool:
    """Whether this is a list of messages."""
    return role_name(head(turns)) is not None


def is_pairs(turns: list[Any]) -> bool:
    """Whether this is a list of question and answer pairs, or of texts that alternate."""
    turn = head(turns)
    if isinstance(turn, dict):
        return match(by_name(turn)) is not None
    return isinstance(turn, str) or (isinstance(turn, list) and len(turn) == 2)


def read_turns(turns: list[Any], note: Note) -> list[Message]:
    """Read turns of any kind. Raises: RowError: they cannot be used."""
    turn = head(turns)
    if has_role(turns):
        return read_messages(turns, names_in(turn, SHAREGPT_NAMES), note)
    return read_pairs(turns, note)


def read_pairs(turns: list[Any], note: Note) -> list[Message]:
    """Read pairs (two fields or two texts each), or texts that alternate, the user's first.

    Raises: RowError: they cannot be used.
    """
    if isinstance(head(turns), str):
        return [Message(content=_text(turn, note), role=_ALTERNATING[at % 2]) for at, turn in enumerate(turns)]
    messages: list[Message] = []
    for pair in turns:
        question, answer = _pair(pair, note)
        messages.append(Message(content=question, role="user"))
        messages.append(Message(content=answer, role="assistant"))
    return messages


def _pair(pair: object, note: Note) -> tuple[str, str]:
    if isinstance(pair, list | tuple):
        if len(pair) != 2:
            raise RowError("pair_incomplete")
        return field_text(pair[0], note), field_text(pair[1], note)
    if not isinstance(pair, dict):
        raise RowError("pair_incomplete")
    fields = match(by_name(pair))
    if fields is None:
        raise RowError("missing_content" if match(by_name(pair, gaps=True)) else "pair_incomplete")
    if pair.keys() - {fields.user, fields.assistant, fields.input}:
        note("unknown_field")
    return question_text(pair, fields, note), first_text(pair.get(fields.assistant), note)


def _text(turn: object, note: Note) -> str:
    if isinstance(turn, list | dict):
        raise RowError("content_not_text")
    return field_text(turn, note)
