"""Lists of messages: a role and a content each, under whatever names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dataset.errors import RowError
from shared.dataset.layouts.fields import by_name, first
from shared.dataset.layouts.roles import GEMINI_ROLES, ROLES, SPELLINGS, Note, role_of
from shared.dataset.layouts.texts import join_parts, text_of
from shared.dataset.rows import Message, Role

ROLE_NAMES = ("role", "from", "speaker", "author", "sender")
CONTENT_NAMES = ("content", "value", "text", "message", "utterance")
_WEIGHTS = ("weight", "train")  # OpenAI's 0 or 1, Axolotl's true or false
_TOOL_FIELDS = ("tool_calls", "function_call", "tool_call_id")
_OTHER_FIELDS = frozenset({*_WEIGHTS, *_TOOL_FIELDS, "name"})


@dataclass(frozen=True, slots=True)
class Names:
    """The names of role and content within a message, and the spellings of a role that need no note."""

    role: str
    content: str
    plain: Mapping[str, Role]
    certain: bool = False  # chosen by the user: no other names are tried


OPENAI_NAMES = Names("role", "content", ROLES)
SHAREGPT_NAMES = Names("from", "value", SPELLINGS)
GEMINI_NAMES = Names("role", "parts", GEMINI_ROLES, certain=True)


def names_in(message: object, default: Names) -> Names:
    """The names a message uses, as far as they can be told."""
    if not isinstance(message, dict) or (default.role in message and default.content in message):
        return default
    names = by_name(message)
    role, content = first(names, ROLE_NAMES), first(names, CONTENT_NAMES)
    return Names(role or default.role, content or default.content, default.plain)


def read_messages(values: list[Any], names: Names, note: Note) -> list[Message]:
    """Read a list of messages. Raises: RowError: one of them cannot be used."""
    role_name, content_name, plain = names.role, names.content, names.plain
    messages: list[Message] = []
    is_plain = True
    for value in values:
        # Most messages need no closer look; in Parquet they have gaps for the fields of others.
        if isinstance(value, dict) and (len(value) == 2 or list(value.values()).count(None) == len(value) - 2):
            given, content = value.get(role_name), value.get(content_name)
            if isinstance(content, str) and isinstance(given, str) and given in plain:
                messages.append(Message(content=content, role=plain[given]))
                continue
        is_plain = False
        messages.append(_read_closely(value, names, note))
    if not is_plain:
        _check_weights(values, messages, note)
    return messages


def _read_closely(value: object, names: Names, note: Note) -> Message:
    if not isinstance(value, dict):
        raise RowError("message_not_an_object")
    if any(value.get(field) for field in _TOOL_FIELDS):
        raise RowError("tool_calls")
    role_name, content_name = names.role, names.content
    if not names.certain and (value.get(role_name) is None or value.get(content_name) is None):
        found = by_name(value)
        role_name = first(found, ROLE_NAMES) or role_name
        content_name = first(found, CONTENT_NAMES) or content_name
    role = role_of(value.get(role_name), names.plain, note)
    content = _content(value.get(content_name), names, note)
    if value.get("name") is not None:
        note("name_dropped")
    if any(
        item is not None and key not in _OTHER_FIELDS and key not in (role_name, content_name)
        for key, item in value.items()
    ):
        note("unknown_field")
    return Message(content=content, role=role)


def _content(content: object, names: Names, note: Note) -> str:
    """Gemini has nothing but lists of parts; elsewhere joining them is worth a note."""
    if names is GEMINI_NAMES and isinstance(content, list) and len(content) == 1:
        return join_parts(content)
    return text_of(content, note)


def _check_weights(values: list[dict[str, Any]], messages: list[Message], note: Note) -> None:
    """OpenAI trains on assistant messages whose weight is not 0; the component here trains on all of them."""
    weights = [next((value[name] for name in _WEIGHTS if value.get(name) is not None), None) for value in values]
    if not any(weight is not None for weight in weights):
        return
    answers = [w for w, message in zip(weights, messages, strict=True) if message.role == "assistant"]
    zero = sum(weight == 0 and weight is not None for weight in answers)
    if answers and zero == len(answers):
        raise RowError("nothing_to_train")
    note("weight_zero_ignored" if zero else "weight_ignored")
