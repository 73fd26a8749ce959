"""Rows with one list of turns: prompt and messages, OpenAI, ShareGPT, pairs, Gemini."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.dataset.errors import RowError
from shared.dataset.layouts.fields import SYSTEM, add_system, first, leave_out, system_text
from shared.dataset.layouts.messages import GEMINI_NAMES, OPENAI_NAMES, SHAREGPT_NAMES, Names, names_in, read_messages
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.turns import head, is_pairs, list_of, read_pairs, role_name
from shared.dataset.rows import Message, Row

PROMPT_MESSAGES = "prompt_messages"
OPENAI = "openai"
SHAREGPT = "sharegpt"
PAIRS = "pairs"
GEMINI = "gemini"

STRONG = ("messages", "conversations", "conversation", "contents")
# Names that mean a conversation only if they hold one.
WEAK = ("items", "dialog", "dialogs", "dialogue", "dialogues", "turns", "chat", "chats", "thread", "data", "history")


class List(msgspec.Struct, frozen=True):
    """The list of turns of a row.

    turns: None where it could not be read, for the reason `fault`. notes: to be made when the row is read.
    """

    layout: str
    key: str
    turns: list[Any] | None
    system: str | None = None
    notes: tuple[str, ...] = ()
    fault: str = ""


def find_list(value: Mapping[str, Any], names: Mapping[str, str]) -> List | None:
    """The list of turns in a field that is made for one; its layout is told by its first turn."""
    for name in STRONG:
        key = names.get(name)
        if key is None:
            continue
        turns, notes, fault = _careful_list(value[key])
        if turns is not None or fault:
            return List(_layout(name, turns, names), key, turns, first(names, SYSTEM), notes, fault)
    return None


def find_weak_list(value: Mapping[str, Any], names: Mapping[str, str]) -> List | None:
    """The list of turns in a field that could hold anything else."""
    for name in WEAK:
        key = names.get(name)
        if key is None:
            continue
        turns, notes, _ = _careful_list(value[key])
        if not turns:
            continue
        is_alone = len(turns) == 1 and isinstance(turns[0], str)
        if role_name(head(turns)) or (is_pairs(turns) and not is_alone):
            return List(_layout(name, turns, names), key, turns, first(names, SYSTEM), notes)
    return None


def _careful_list(item: object) -> tuple[list[Any] | None, tuple[str, ...], str]:
    """The list, the notes to make, and the reason why it cannot be read though it begins like a list."""
    if isinstance(item, list):
        return item, (), ""
    notes: list[str] = []
    try:
        return list_of(item, notes.append), tuple(notes), ""
    except RowError as error:
        return None, (), error.reason


def _layout(container: str, turns: list[Any] | None, names: Mapping[str, str]) -> str:
    """Name the layout of a list by where it is and how its first turn looks."""
    turn = head(turns)
    speaker = role_name(turn)
    if container == "messages" and speaker != "from":
        if isinstance(turn, dict) and layout_of_turns(turns) == PAIRS:
            return PAIRS
        return PROMPT_MESSAGES if "prompt" in names or "prompt_id" in names else OPENAI
    if container == "contents" and turn is None:
        return GEMINI
    return layout_of_turns(turns)


def layout_of_turns(turns: list[Any] | None) -> str:
    """Name the layout of a list by its first turn: Gemini, pairs, or else ShareGPT, which reads all messages."""
    turn = head(turns)
    if isinstance(turn, dict) and "parts" in turn:
        return GEMINI
    return PAIRS if turns and role_name(turn) is None and is_pairs(turns) else SHAREGPT


def read_list_row(value: Mapping[str, Any], found: List, note: Note, names: Names | None = None) -> Row:
    """Read a row with a list of turns.

    names: the names within a message, where the user has chosen them.
    Raises: RowError: it cannot be used.
    """
    if found.turns is None:
        raise RowError(found.fault)
    for code in found.notes:
        note(code)
    row = Row(messages=_messages(found, note, names))
    used = {found.key, found.system}
    if found.layout in (PROMPT_MESSAGES, OPENAI):
        used |= {"prompt", "prompt_id"}
        _given_prompt(value, row, note)
    if found.system:
        add_system(row.messages, system_text(value.get(found.system), note))
    leave_out(value, used, row, note)
    return row


def _messages(found: List, note: Note, names: Names | None) -> list[Message]:
    turns = found.turns or []
    if names is not None:
        return read_messages(turns, names, note)
    if found.layout == PAIRS:
        return read_pairs(turns, note)
    if found.layout == GEMINI:
        return read_messages(turns, GEMINI_NAMES, note)
    default = SHAREGPT_NAMES if found.layout == SHAREGPT else OPENAI_NAMES
    return read_messages(turns, names_in(head(turns), default), note)


def _given_prompt(value: Mapping[str, Any], row: Row, note: Note) -> None:
    """Take over prompt and prompt_id as they are; whoever writes the row compares them with its messages."""
    prompt, prompt_id = value.get("prompt"), value.get("prompt_id")
    if prompt is not None:
        row.prompt = prompt if isinstance(prompt, str) else ""
    if isinstance(prompt_id, str):
        row.prompt_id = prompt_id
    elif prompt_id is not None:
        note("prompt_id_replaced")
