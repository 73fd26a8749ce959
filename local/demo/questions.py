"""What the demo asks, and how it tells whether an answer holds the fact."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SAMPLE = SAMPLES / "vendlebury.jsonl"
FACTS = SAMPLES / "vendlebury.facts.json"
MOST = 4
_WORD = re.compile(r"[A-Za-z0-9À-ɏ'-]+")


@dataclass(frozen=True)
class Question:
    """One question. fact: what an answer must contain; general: common knowledge, asked to see what was forgotten."""

    text: str
    fact: str | None
    general: bool = False

    def answered_by(self, answer: str) -> bool | None:
        """Tell whether an answer contains the fact; None when the question has no fact that can be looked for."""
        return None if self.fact is None else _plain(self.fact) in _plain(answer)


def of_sample(facts: Path) -> list[Question]:
    """Return the sample's questions, one for each fact: phrasings that are not in the dataset."""
    entries = json.loads(facts.read_text("utf-8"))
    learned = {e["fact"]: Question(e["question"], e["fact"]) for e in reversed(entries) if e["kind"] == "learned"}
    general = [Question(e["question"], e["fact"], general=True) for e in entries if e["kind"] == "general"]
    return [*list(reversed(learned.values()))[:MOST], *general[:2]]


def of_test_rows(rows: list[dict[str, Any]]) -> list[Question]:
    """Return questions made of held-out rows of somebody's own dataset: single-turn ones first, one for each answer."""
    questions: dict[str, Question] = {}
    for row in sorted(rows, key=lambda row: len(row["messages"])):
        asked = [message["content"] for message in row["messages"] if message["role"] == "user"][-1]
        truth = row["messages"][-1]["content"]
        questions.setdefault(truth, Question(asked, distinctive(asked, truth)))
    return list(questions.values())[:MOST]


def distinctive(question: str, answer: str) -> str | None:
    """Return the word of an answer that gives the fact away: a name or a number that the question does not hold.

    >>> distinctive("Who keeps the lighthouse?", "The lighthouse of Marrow Point is kept by Odalys.")
    'Odalys'
    """
    asked = {word.lower() for word in _WORD.findall(question)}
    words: list[str] = [word for word in _WORD.findall(answer) if word.lower() not in asked]
    named = [w for i, w in enumerate(words) if any(c.isdigit() for c in w) or (w[0].isupper() and i > 0)]
    if named:
        return named[-1]
    return max(words, key=len) if words else None


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
