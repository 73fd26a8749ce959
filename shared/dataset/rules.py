"""What a conversation must look like to be trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from shared.dataset.errors import RowError
from shared.dataset.layouts import Note
from shared.dataset.rows import Message

# Tab, newline, carriage return and form feed are text; the others come from terminals and broken exports.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_CONTROL_ESCAPE = re.compile(rb"\\(?:u00[017]|b)")


def check(messages: list[Message], max_characters: int, note: Note) -> tuple[list[str], int]:
    """Check one conversation; a last user message nobody answers is cut off.

    Returns: the messages' texts and their characters. An odd number of texts means that the first is a system message.
    Raises: RowError: the conversation cannot be trained on.
    """
    roles = [message.role for message in messages]
    if roles != _good_roles(len(roles)):
        _settle_roles(messages, roles, note)
    texts = [message.content for message in messages]
    if "" in texts or True in map(str.isspace, texts):
        raise RowError("blank_turn")
    characters = sum(map(len, texts))
    if characters > max_characters:
        raise RowError("too_long")
    return texts, characters


@lru_cache(maxsize=256)
def _good_roles(count: int) -> list[str] | None:
    """The only good order of `count` messages; with an odd number, the first is a system message."""
    return ["system"] * (count % 2) + ["user", "assistant"] * (count // 2) if count > 1 else None


def _settle_roles(messages: list[Message], roles: Sequence[str], note: Note) -> None:
    if not messages:
        raise RowError("no_messages")
    if "system" in roles[1:]:
        raise RowError("system_not_first")
    if "assistant" not in roles:
        raise RowError("no_assistant_turn")
    spoken = roles[roles[0] == "system" :]
    if spoken[0] == "assistant":
        raise RowError("starts_with_assistant")
    if any(one == other for one, other in pairwise(spoken)):
        raise RowError("roles_do_not_alternate")
    messages.pop()
    note("trailing_user_cut")


def without_blank_turns(messages: list[Message]) -> list[Message] | None:
    """Take blank messages out, a question with its answer, so that the rest is a conversation still.

    A blank question takes its answer along, a blank answer its question. Returns: None if nothing useful is left.
    """
    system = messages[:1] if messages and messages[0].role == "system" else []
    spoken = messages[len(system) :]
    system = [message for message in system if not _is_blank(message)]
    pairs = zip(spoken[::2], spoken[1::2], strict=False)
    kept = [message for pair in pairs if not any(map(_is_blank, pair)) for message in pair]
    return [*system, *kept] if kept else None


def _is_blank(message: Message) -> bool:
    return not message.content or message.content.isspace()


def has_control_escape(encoded: bytes) -> bool:
    """Whether an encoded row may hold control characters: they are written as escapes, but for DEL."""
    return b"\x7f" in encoded or _CONTROL_ESCAPE.search(encoded) is not None


def check_control_characters(texts: list[str]) -> None:
    """Refuse control characters in a conversation. Raises: RowError: there is one."""
    if any(map(_CONTROL.search, texts)):
        raise RowError("control_character")


class ControlScan:
    """Finds the lines of a buffer that may hold control characters, in one pass.

    In valid JSON a control character is written as an escape, but for DEL. Most files have none at all, so that almost
    every row is cleared by comparing two numbers. One pattern over a whole buffer is four times as fast as bytes.find
    for two-byte needles, and many times as fast as looking at the decoded text.
    """

    def __init__(self, buffer: bytes, start: int, stop: int) -> None:
        self._buffer = buffer
        self._stop = stop
        self._escape_at = self._find_escape(start)
        self._delete_at = self._find_delete(start)
        self.next_at = min(self._escape_at, self._delete_at)

    def pass_line(self, end: int) -> None:
        """Move on behind a line that ends at `end`."""
        if self._escape_at < end:
            self._escape_at = self._find_escape(end)
        if self._delete_at < end:
            self._delete_at = self._find_delete(end)
        self.next_at = min(self._escape_at, self._delete_at)

    def _find_escape(self, start: int) -> int:
        found = _CONTROL_ESCAPE.search(self._buffer, start, self._stop)
        return found.start() if found else self._stop

    def _find_delete(self, start: int) -> int:
        at = self._buffer.find(b"\x7f", start, self._stop)
        return at if at >= 0 else self._stop
