"""What is said: texts, lists of text parts, and the numbers that tables make of texts."""

from __future__ import annotations

import math

from shared.dataset.errors import RowError
from shared.dataset.layouts.roles import Note

_TEXT_PARTS = frozenset({None, "text", "input_text", "output_text"})
_TOOL_PARTS = frozenset({"tool_use", "tool_result", "tool_call", "function_call", "function_call_output"})
# Written without a type, as Bedrock (toolUse) and Gemini (functionCall) do.
_TOOL_PART_FIELDS = ("toolUse", "toolResult", "functionCall", "functionResponse", "function_call", "function_response")
_LARGEST_NUMBER = 2**64
_WHOLE_FLOAT = 2.0**53


def text_of(content: object, note: Note) -> str:
    """Read the content of a message: a text, or a list of parts that are all text.

    Raises: RowError: there is none, or it is something else. A number is something else here: in a list of messages
    it stands for a mistake of whoever wrote the file, not for a column that was read as numbers.
    """
    if isinstance(content, str):
        return content
    if content is None:
        raise RowError("missing_content")
    if isinstance(content, bytes):  # how the reader of Parquet gives a text that is not UTF-8
        raise RowError("invalid_utf8")
    if not isinstance(content, list):
        raise RowError("content_not_text")
    note("content_parts_joined")
    return join_parts(content)


def join_parts(parts: list[object]) -> str:
    """Join the texts of a list of parts. Raises: RowError: one of them is no text."""
    return "".join(map(_text_of_part, parts))


def _text_of_part(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise RowError("content_not_text")
    kind, text = part.get("type"), part.get("text")
    if kind is not None and not isinstance(kind, str):
        raise RowError("content_not_text")
    if kind in _TOOL_PARTS or any(part.get(field) for field in _TOOL_PART_FIELDS):
        raise RowError("tool_calls")
    if kind in _TEXT_PARTS and isinstance(text, str):
        return text
    raise RowError("content_not_text")


def field_text(value: object, note: Note) -> str:
    """Read a text that has a field to itself. There a number is an answer like any other, and kept as its digits.

    A whole number that became 42.0, because a table's column has gaps, is 42 again. NaN is such a gap.
    Raises: RowError: there is none, or it is something else.
    """
    if isinstance(value, str):
        return value
    if is_missing(value):
        raise RowError("missing_content")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _digits(value, note)
    if isinstance(value, bytes) or (isinstance(value, list) and value):
        return text_of(value, note)
    raise RowError("content_not_text")


def _digits(number: int | float, note: Note) -> str:
    if abs(number) > _LARGEST_NUMBER:  # infinity too
        raise RowError("content_not_text")
    note("number_as_text")
    if isinstance(number, float) and number.is_integer() and abs(number) < _WHOLE_FLOAT:
        return str(int(number))
    return str(number)


def first_text(value: object, note: Note) -> str:
    """Read an answer that may be one of several: SQuAD's {"text": [...]}, TriviaQA's {"value": ...}, or a list.

    Raises: RowError: there is none, or it is something else.
    """
    answers = value
    if isinstance(value, dict):
        answers = next((value[name] for name in ("text", "value", "answer") if value.get(name) is not None), value)
    if isinstance(answers, list):
        if not answers:
            raise RowError("missing_answer")
        if isinstance(answers[0], dict) and answers[0].get("type") is not None:
            return text_of(answers, note)
        answers = answers[0].get("text") if isinstance(answers[0], dict) else answers[0]
    if answers is value:
        return field_text(value, note)
    if isinstance(answers, list | dict):
        raise RowError("content_not_text")
    note("first_answer_taken")
    return field_text(answers, note)


def optional_text(value: object, note: Note) -> str:
    """Read a text that may be missing or blank; then it is "". Passages of text are joined by blank lines.

    Raises: RowError: it is something else.
    """
    if is_missing(value) or value == [] or value == {}:
        return ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        if len(value) > 1:
            note("content_parts_joined")
        value = "\n\n".join(value)
    text = field_text(value, note)
    return "" if not text or text.isspace() else text


def is_missing(value: object) -> bool:
    """Whether a table has a gap here."""
    return value is None or (isinstance(value, float) and math.isnan(value))
