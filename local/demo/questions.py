"""What the demo asks, and how it tells whether an answer holds the fact."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SAMPLE = SAMPLES / "vendlebury.jsonl"
FACTS = SAMPLES / "vendlebury.facts.json"
MOST = 4
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Question:
    """One question. fact: what an answer must contain, None when nothing can be looked for.

    kind: `unseen` (a wording the dataset does not have), `held out` (a row kept for testing, whose fact other rows
    teach), `trained` (a row of the training data), `general` (common knowledge: what was forgotten?).
    """

    messages: Messages
    fact: str | None
    kind: str

    @property
    def text(self) -> str:
        """The last turn, which is what a reader is shown."""
        return self.messages[-1]["content"]

    def answered_by(self, answer: str) -> bool | None:
        """Tell whether an answer contains the fact; None when there is no fact to look for."""
        return None if self.fact is None else holds(answer, self.fact)


def of_sample(facts: Path) -> list[Question]:
    """Return the sample's questions, one for each fact: phrasings that are not in the dataset."""

    def question(entry: dict[str, str], kind: str) -> Question:
        return Question([{"role": "user", "content": entry["question"]}], entry["fact"], kind)

    entries = json.loads(facts.read_text("utf-8"))
    learned = {entry["fact"]: question(entry, "unseen") for entry in reversed(entries) if entry["kind"] == "learned"}
    general = [question(entry, "general") for entry in entries if entry["kind"] == "general"]
    return [*list(reversed(learned.values()))[:MOST], *general[:2]]


def of_rows(train: list[dict[str, Any]], test: list[dict[str, Any]]) -> list[Question]:
    """Return questions made of somebody's own rows: half of them held out, if other rows teach their fact."""
    taught = [row["messages"][-1]["content"] for row in train]
    held_out = [
        question
        for question in _one_for_each_answer(test, "held out")
        if question.fact is None or any(holds(answer, question.fact) for answer in taught)
    ][: MOST // 2]
    facts = {question.fact for question in held_out}
    trained = [question for question in _one_for_each_answer(train, "trained") if question.fact not in facts]
    return [*held_out, *trained[: MOST - len(held_out)]]


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


def holds(text: str, fact: str) -> bool:
    """Tell whether a text contains a fact, as whole words where the script has such."""
    if fact.isascii():
        return f" {_plain(fact)} " in f" {_plain(text)} "
    return fact.lower() in text.lower()


def _one_for_each_answer(rows: Iterable[dict[str, Any]], kind: str) -> list[Question]:
    """Return short conversations first, and no answer twice."""
    questions: dict[str, Question] = {}
    for row in sorted(rows, key=lambda row: (len(row["messages"]), len(str(row["messages"])))):
        *asked, truth = row["messages"]
        fact = distinctive(" ".join(message["content"] for message in asked), truth["content"])
        questions.setdefault(fact or truth["content"], Question(asked, fact, kind))
    return list(questions.values())


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
