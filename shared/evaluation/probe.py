"""A small test of general knowledge, to see what a model forgot: 20 questions of our own in `probe.json`.

Each answer is begun for the model, which then prefers one of four words. The words begin with different letters, so
whatever the tokenizer, the first token that differs tells them apart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("probe.json")


@dataclass(frozen=True)
class Question:
    """start: the beginning of the answer; options: four words it may go on with, of which `right` is one."""

    id: str
    question: str
    start: str
    options: list[str]
    right: str


def questions() -> list[Question]:
    """Read the questions."""
    return [Question(**entry) for entry in json.loads(_FILE.read_text(encoding="utf-8"))]
