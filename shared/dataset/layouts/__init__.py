"""Layouts of chat data: which one a file is in, and how its rows are read.

A file's layout is told by its first rows (`detect`) or chosen by the user (`chosen`); its rows are then read by that
layout and no other. What is read, field by field, stands in shapes.py (a field for each side), conversations.py (one
list of turns) and roles.py (who speaks).
"""

from __future__ import annotations

from typing import Any, Protocol

from shared.dataset.layouts.columns import ROLES_OF_COLUMNS, chosen
from shared.dataset.layouts.conversations import GEMINI, OPENAI, PAIRS, PROMPT_MESSAGES, SHAREGPT
from shared.dataset.layouts.detect import NAMES, detect, unsupported
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.shapes import ALPACA, COLUMNS, PROMPT_COMPLETION, QUESTION_ANSWER
from shared.dataset.rows import Row


class Layout(Protocol):
    """How the rows of a file are read."""

    @property
    def name(self) -> str:
        """One of NAMES."""

    @property
    def title(self) -> str:
        """As a person calls it."""

    def read(self, value: dict[str, Any], note: Note) -> Row:
        """Read a row.

        note: called with the code of whatever was mended or left out.
        Raises: RowError: the row cannot be used.
        """


__all__ = [
    "ALPACA",
    "COLUMNS",
    "GEMINI",
    "NAMES",
    "OPENAI",
    "PAIRS",
    "PROMPT_COMPLETION",
    "PROMPT_MESSAGES",
    "QUESTION_ANSWER",
    "ROLES_OF_COLUMNS",
    "SHAREGPT",
    "Layout",
    "Note",
    "chosen",
    "detect",
    "unsupported",
]
