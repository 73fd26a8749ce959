"""Layouts that are known, but cannot be trained on as they are: they are named, with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.dataset.layouts.fields import first
from shared.dataset.layouts.shapes import SHAPES, match

QUESTIONS, ANSWERS = "questions", "answers"

TITLES: dict[str, str] = {
    "preference": (
        "preference pairs (a chosen and a rejected answer); to train on the chosen ones, map columns: "
        "user=prompt, assistant=chosen, or messages=chosen if that is a whole conversation"
    ),
    "feedback": (
        "answers with a verdict (a label that is true or false); leave only the good ones in the file, "
        "without their label"
    ),
    "multiple_choice": (
        "multiple choice (a question, its choices, an answer); write the choices into the question, and the answer "
        "as text, or map columns if they are there already: user=..., assistant=..."
    ),
    "message_tree": (
        "single messages of conversation trees, as OpenAssistant publishes them; join each path of a tree to a row "
        "with a list of messages"
    ),
    "moss": "MOSS's turns (chat with turn_1, turn_2, ...); write each conversation as a list of messages",
    "translation": "translations (one text in several languages); map columns after writing each language to its own",
    "batch": "requests of a batch API (custom_id, body); they hold no answers to learn from",
    "transcript": (
        "transcripts (a whole conversation as one text); write each conversation as a list of messages "
        "with role and content"
    ),
    "classification": "texts with a label (classification); to learn the label as an answer, map columns: "
    "user=text, assistant=label",
    "text": (
        "plain text; this fine-tuning learns from questions and answers: map columns if the rows hold both "
        "(user=..., assistant=...)"
    ),
    QUESTIONS: "questions without answers; map columns if an answer is there under another name: "
    "user=..., assistant=...",
    ANSWERS: "answers without questions; map columns if a question is there under another name: "
    "user=..., assistant=...",
}

_PREFERENCE = (
    frozenset({"chosen", "rejected"}),
    frozenset({"preferred_output", "non_preferred_output"}),
    frozenset({"response_0", "response_1"}),
    frozenset({"response_a", "response_b"}),
    frozenset({"conversation_a", "conversation_b"}),
)
# Without one of these, nothing is misunderstood.
_MISLEADING = frozenset({"label", "kto_tag", "choices", "options"}).union(*_PREFERENCE)
_TEXTS = ("text", "plain_text", "content", "document", "sentence", "body", "page_content", "sample")
_TRANSCRIPTS = ("chat", "conversation", "conversations", "dialog", "dialogue", "transcript")
_SENTENCES = frozenset({"text", "sentence", "sentence1", "premise", "content", "review", "title"})
_LABELS = frozenset({"label", "labels", "sentiment", "class", "intent"})
# A field called q, or a user's name, is no question yet.
_VAGUE = frozenset({"q", "a", "user", "customer", "agent", "human", "ai", "reply"})
_QUESTIONS = tuple(name for shape in SHAPES for name in shape.user if name not in _VAGUE)
_ANSWERS = tuple(name for shape in SHAPES for name in shape.assistant if name not in _VAGUE)


@dataclass(frozen=True, slots=True)
class Known:
    """A layout that is known, but not read."""

    layout: str


def find_before_fields(value: Mapping[str, Any], names: Mapping[str, str]) -> Known | None:
    """Layouts that hold a question and an answer too, but would be misunderstood by them."""
    if _MISLEADING.isdisjoint(names):
        return None
    if any(pair <= names.keys() for pair in _PREFERENCE):
        return Known("preference")
    verdict = value.get(first(names, ("label", "kto_tag")) or "")
    if (isinstance(verdict, bool) or str(verdict)[:6].lower() in ("true", "false")) and match(names):
        return Known("feedback")
    choices = value.get(first(names, ("choices", "options")) or "")
    if "question" in names and isinstance(choices, list | dict) and choices:
        return Known("multiple_choice")
    return None


def find_at_last(value: Mapping[str, Any], names: Mapping[str, str]) -> Known | None:
    """What is left when nothing fits that could be read."""
    if {"message_id", "parent_id", "text"} <= names.keys() or {"message_id", "text", "role"} <= names.keys():
        return Known("message_tree")
    if {"custom_id", "body"} <= names.keys():
        return Known("batch")
    chat = value.get(names.get("chat", ""))
    if isinstance(chat, dict) and "turn_1" in chat:
        return Known("moss")
    if isinstance(value.get(names.get("translation", "")), dict):
        return Known("translation")
    if isinstance(value.get(first(names, _TRANSCRIPTS) or ""), str):
        return Known("transcript")
    if _SENTENCES & names.keys() and _LABELS & names.keys():
        return Known("classification")
    for wanted, layout in ((_TEXTS, "text"), (_QUESTIONS, QUESTIONS), (_ANSWERS, ANSWERS)):
        if first(names, wanted):
            return Known(layout)
    return None
