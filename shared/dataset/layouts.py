"""Layouts of chat data: which one a file is in, and how to read a row that needs a closer look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.rows import Message, Role, Row, decode_object

Note = Callable[[str], None]

PROMPT_MESSAGES = "prompt_messages"
OPENAI = "openai"

# Layouts known by a field, in the order they are looked for. Those without a title are read; the others are named.
_KNOWN: tuple[tuple[str, frozenset[str], str | None], ...] = (
    (PROMPT_MESSAGES, frozenset({"messages", "prompt"}), None),
    (PROMPT_MESSAGES, frozenset({"messages", "prompt_id"}), None),
    (OPENAI, frozenset({"messages"}), None),
    ("sharegpt", frozenset({"conversations"}), "ShareGPT (conversations with from and value)"),
    ("sharegpt", frozenset({"conversation"}), "ShareGPT (conversation)"),
    ("preference", frozenset({"chosen", "rejected"}), "preference pairs (chosen and rejected)"),
    ("alpaca", frozenset({"instruction", "output"}), "Alpaca (instruction, input, output)"),
    ("prompt_completion", frozenset({"prompt", "completion"}), "prompt and completion"),
    ("prompt_response", frozenset({"prompt", "response"}), "prompt and response"),
    ("question_answer", frozenset({"question", "answer"}), "question and answer"),
    ("text", frozenset({"text"}), "plain text"),
)
TITLES = {name: title for name, _, title in _KNOWN if title}
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_SPELLINGS = _ROLES | {"developer": "system"}
_TOOL_ROLES = frozenset({"tool", "function", "ipython"})
_TOOL_FIELDS = ("tool_calls", "function_call", "tool_call_id")
_ROW_FIELDS = frozenset({"prompt", "messages", "prompt_id"})
_TOOL_DEFINITIONS = frozenset({"tools", "functions", "parallel_tool_calls", "tool_choice", "function_call"})
_MESSAGE_FIELDS = frozenset({"role", "content", "weight", "name", *_TOOL_FIELDS})


def layout_of(value: dict[str, Any]) -> str | None:
    """Name the layout of one row, or None."""
    return next((name for name, fields, _ in _KNOWN if fields <= value.keys()), None)


def detect_layout(lines: Iterable[bytes]) -> str | None:
    """Name the layout most of a file's first lines are in; the first of them where two are as frequent."""
    seen: dict[str, int] = {}
    for line in lines:
        try:
            name = layout_of(decode_object(line))
        except RowError:
            continue
        if name:
            seen[name] = seen.get(name, 0) + 1
    return max(seen, key=lambda name: seen[name]) if seen else None


def read_row(line: bytes, note: Note) -> Row:
    """Read a row that the strict decoder refused.

    note: called with the code of whatever was mended or left out.
    Raises: RowError: the row cannot be used.
    """
    value = decode_object(line)
    messages = value.get("messages")
    if not isinstance(messages, list):
        other = layout_of(value)
        raise RowError("layout_differs" if other in TITLES else "missing_messages")
    row = Row(messages=[_message(message, note) for message in messages])
    _check_weights(messages, note)
    _row_fields(value, row, note)
    return row


def _row_fields(value: dict[str, Any], row: Row, note: Note) -> None:
    unknown = value.keys() - _ROW_FIELDS
    if unknown & _TOOL_DEFINITIONS:
        note("tools_dropped")
    if unknown - _TOOL_DEFINITIONS:
        note("unknown_field")
    prompt = value.get("prompt")
    if prompt is not None:
        row.prompt = prompt if isinstance(prompt, str) else ""
    prompt_id = value.get("prompt_id")
    if isinstance(prompt_id, str):
        row.prompt_id = prompt_id
    elif prompt_id is not None:
        note("prompt_id_replaced")


def _message(value: object, note: Note) -> Message:
    if not isinstance(value, dict):
        raise RowError("message_not_an_object")
    if len(value) == 2:  # most messages need no closer look, whatever made the row as a whole need one
        content, plain_role = value.get("content"), value.get("role")
        if isinstance(content, str) and isinstance(plain_role, str) and plain_role in _ROLES:
            return Message(content=content, role=_ROLES[plain_role])
    if any(value.get(field) for field in _TOOL_FIELDS):
        raise RowError("tool_calls")
    role = _role(value, note)
    content = _content(value, note)
    if value.get("name") is not None:
        note("name_dropped")
    if any(value[field] is not None for field in value.keys() - _MESSAGE_FIELDS):
        note("unknown_field")
    return Message(content=content, role=role)


def _role(message: dict[str, Any], note: Note) -> Role:
    given = message.get("role")
    if given is None:
        raise RowError("missing_role")
    if not isinstance(given, str):
        raise RowError("unknown_role")
    role = _ROLES.get(given)
    if role is None:
        spelling = given.strip().lower()
        if spelling in _TOOL_ROLES:
            raise RowError("tool_calls")
        role = _SPELLINGS.get(spelling)
        if role is None:
            raise RowError("unknown_role")
        note("role_spelling")
    return role


def _content(message: dict[str, Any], note: Note) -> str:
    content = message.get("content")
    if content is None:
        raise RowError("missing_content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowError("content_not_text")
    note("content_parts_joined")
    return "".join(map(_text_of_part, content))


def _text_of_part(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise RowError("content_not_text")


def _check_weights(messages: list[dict[str, Any]], note: Note) -> None:
    """OpenAI trains on assistant messages whose weight is not 0; the component here trains on all of them."""
    weights = [message.get("weight") for message in messages]
    if not any(weight is not None for weight in weights):
        return
    answers = [w for m, w in zip(messages, weights, strict=True) if _SPELLINGS.get(_lower(m["role"])) == "assistant"]
    zero = sum(weight == 0 and weight is not None for weight in answers)
    if answers and zero == len(answers):
        raise RowError("nothing_to_train")
    note("weight_zero_ignored" if zero else "weight_ignored")


def _lower(role: str) -> str:
    return role.strip().lower()
