"""Rows with a field for each side: Alpaca, prompt and completion, question and answer, columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.layouts.fields import add_system, leave_out, system_text
from shared.dataset.layouts.messages import OPENAI_NAMES, names_in, read_messages
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.shapes import Fields, question_text
from shared.dataset.layouts.texts import first_text, is_missing, optional_text
from shared.dataset.layouts.turns import has_role, list_of, read_turns
from shared.dataset.rows import Message, Role, Row


def read_fields(value: Mapping[str, Any], fields: Fields, note: Note) -> Row:
    """Read a row with a field for each side. Raises: RowError: it cannot be used."""
    question, answer = value.get(fields.user), value.get(fields.assistant)
    if _are_written_lists(question, answer):
        question, answer = list_of(question, note), list_of(answer, note)
    messages = _history(value.get(fields.history), note) if fields.history else []
    if has_role(question):
        messages += _messages(question, note)
        if fields.input and optional_text(value.get(fields.input), note):
            raise RowError("content_not_text")
    else:
        messages.append(_said("user", question_text(value, fields, note)))
    messages += _messages(answer, note) if has_role(answer) else [_said("assistant", first_text(answer, note))]
    if fields.system:
        add_system(messages, system_text(value.get(fields.system), note))
    row = Row(messages=messages)
    leave_out(value, fields.keys(), row, note)
    return row


def _said(role: Role, text: str) -> Message:
    return Message(content=text, role=role)


def _messages(values: Any, note: Note) -> list[Message]:
    """TRL's conversational prompt and completion: a list of messages on either side."""
    return read_messages(values, names_in(values[0], OPENAI_NAMES), note)


def _are_written_lists(question: object, answer: object) -> bool:
    """Whether both sides are lists of messages that a table holds as text. One alone may be somebody's JSON."""
    return _is_written_list(question) and _is_written_list(answer)


def _is_written_list(side: object) -> bool:
    return isinstance(side, str) and side.startswith("[{") and "role" in side[:200]


def _history(value: object, note: Note) -> list[Message]:
    """Earlier turns. Raises: RowError: they are no list of turns."""
    if is_missing(value) or (isinstance(value, str) and not value.strip()):
        return []
    turns = list_of(value, note)
    if turns is None:
        raise RowError("history_not_turns")
    return read_turns(turns, note) if turns else []
