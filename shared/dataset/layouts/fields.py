"""The fields of a row: found by name whatever its case, and what becomes of those nobody asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.texts import is_missing, join_parts, optional_text
from shared.dataset.rows import Message, Row

SYSTEM = ("system", "system_prompt", "system_message", "system_instruction", "meta_instruction")
_TOOL_DEFINITIONS = frozenset({"tools", "functions", "parallel_tool_calls", "tool_choice", "function_call"})
_MEDIA = frozenset({"image", "images", "video", "videos", "audio", "audios"})
_PLACEHOLDER = re.compile(r"<\|?(?:image|video|audio)(?:_?\d+)?\|?>")
_NOTHING: tuple[object, ...] = ("", [], {})
_LONGEST_NAME = 64
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=512)
def normal(name: str) -> str:
    """A field's name as the tables of this package write it: userMessage, User Message and user-message are one."""
    return _CAMEL.sub("_", name.strip()).lower().replace(" ", "_").replace("-", "_")


def by_name(value: Mapping[Any, Any], *, gaps: bool = False) -> dict[str, str]:
    """The fields of a row by their normal names.

    Of two fields that differ in case only, the one in its normal spelling is taken; without one, neither.
    gaps: also fields without a value.
    """
    names: dict[str, str] = {}
    doubtful: set[str] = set()
    for key, item in value.items():
        if (item is None and not gaps) or not isinstance(key, str) or len(key) > _LONGEST_NAME:
            continue
        name = normal(key)
        if name not in names or key == name:
            names[name] = key
            doubtful.discard(name)
        elif names[name] != name:
            doubtful.add(name)
    for name in doubtful:
        del names[name]
    return names


def first(names: Mapping[str, str], wanted: Iterable[str]) -> str | None:
    """The key of the first of the wanted names that is there."""
    for name in wanted:
        if name in names:
            return names[name]
    return None


def system_text(value: object, note: Note) -> str:
    """Read a system prompt that has a field to itself; "" for none.

    It may be a text, a list of text blocks (Anthropic, Bedrock), or Gemini's {"parts": [...]}.
    Raises: RowError: it is something else.
    """
    if isinstance(value, dict) and isinstance(value.get("parts"), list):
        return join_parts(value["parts"])
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        value = [value]
    if isinstance(value, list):
        text = join_parts(value)
        return "" if text.isspace() else text
    return optional_text(value, note)


def add_system(messages: list[Message], text: str) -> None:
    """Put a system prompt in front, unless it is there already.

    Raises: RowError: the conversation starts with another one, and nobody knows which was meant.
    """
    if not text:
        return
    if not messages or messages[0].role != "system":
        messages.insert(0, Message(content=text, role="system"))
    elif messages[0].content != text:
        raise RowError("two_system_prompts")


def leave_out(value: Mapping[str, Any], used: Collection[str | None], row: Row, note: Note) -> None:
    """Say that fields were not copied.

    Raises: RowError: one of them holds pictures or sound that the conversation is about.
    """
    for key, item in value.items():
        if key in used or is_missing(item) or item in _NOTHING:
            continue
        name = normal(key) if isinstance(key, str) and len(key) <= _LONGEST_NAME else ""
        if name in _MEDIA and any(_PLACEHOLDER.search(message.content) for message in row.messages):
            raise RowError("media")
        note("tools_dropped" if name in _TOOL_DEFINITIONS else "unknown_field")
