"""Layouts with a field for each side: which fields those are, under all their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.dataset.layouts.fields import SYSTEM, first
from shared.dataset.layouts.roles import Note
from shared.dataset.layouts.texts import field_text, optional_text

ALPACA = "alpaca"
PROMPT_COMPLETION = "prompt_completion"
QUESTION_ANSWER = "question_answer"
COLUMNS = "columns"


@dataclass(frozen=True, slots=True)
class Shape:
    """Alternative names of the fields of a layout."""

    layout: str
    user: tuple[str, ...]
    assistant: tuple[str, ...]
    input: tuple[str, ...] = ()
    input_first: bool = False  # a text, and then the question about it


class Fields(msgspec.Struct, frozen=True, gc=False):
    """The fields of a row, by what they are to the conversation. One is made for every row: msgspec makes it fast."""

    layout: str
    user: str
    assistant: str
    input: str | None = None
    system: str | None = None
    history: str | None = None
    input_first: bool = False

    def keys(self) -> tuple[str | None, ...]:
        """Every field that is read."""
        return (self.user, self.assistant, self.input, self.system, self.history)


_ANSWERS = ("answer", "answers", "correct_answer", "long_answer", "solution", "generated_solution", "reply", "ideal")
_USER_COLUMNS = (
    *("user", "human", "user_message", "human_message", "customer_message", "user_input", "user_prompt"),
    *("user_text", "user_query", "user_question"),
)
_ASSISTANT_COLUMNS = (
    *("assistant", "ai", "bot", "gpt", "chatgpt", "chatbot"),
    *("assistant_message", "ai_message", "bot_message", "model_message", "agent_message"),
    *("assistant_response", "ai_response", "bot_response", "model_response", "agent_response"),
    *("assistant_reply", "ai_reply", "bot_reply", "agent_reply", "assistant_text"),
)

# In the order they are tried: the first whose fields are all there.
SHAPES: tuple[Shape, ...] = (
    # Alpaca; Dolly (context, response); GPTeacher (input, response); Axolotl's INSTRUCTION, RESPONSE
    Shape(
        ALPACA,
        ("instruction",),
        ("output", "response", "completion", "answer", "target"),
        ("input", "context", "query"),
    ),
    # Firefly; FLAN and Aya
    Shape(ALPACA, ("input",), ("target",)),
    Shape(ALPACA, ("inputs",), ("targets",)),
    # OpenAI's and Bedrock's; TRL's; LLaMA-Factory's own names (prompt, query, response)
    Shape(
        PROMPT_COMPLETION,
        ("prompt",),
        ("completion", "response", "output", "answer", "target", "reply"),
        ("query", "input"),
    ),
    # OpenOrca (system_prompt, question, response); MetaMath and ms-swift (query, response)
    Shape(ALPACA, ("question", "query"), ("response",)),
    Shape(PROMPT_COMPLETION, ("input", "text_input"), ("output", "response", "completion", "ideal")),
    Shape(PROMPT_COMPLETION, ("input_text",), ("output_text",)),
    Shape(PROMPT_COMPLETION, ("message_1",), ("message_2",)),  # CAMEL
    Shape(PROMPT_COMPLETION, ("article",), ("summary",)),  # Axolotl's summarizetldr
    # GSM8K; with a text that it is about: SQuAD, Axolotl's context_qa
    Shape(QUESTION_ANSWER, ("question",), _ANSWERS, ("context", "article", "passage"), input_first=True),
    Shape(QUESTION_ANSWER, ("query",), _ANSWERS),
    Shape(QUESTION_ANSWER, ("problem",), ("solution", "generated_solution", "answer")),
    Shape(QUESTION_ANSWER, ("q",), ("a",)),
    Shape(COLUMNS, _USER_COLUMNS, _ASSISTANT_COLUMNS),
    Shape(COLUMNS, ("customer",), ("agent",)),
)
_NO_INPUT = frozenset({"<noinput>", "<no input>", "noinput"})


def match(names: Mapping[str, str], layout: str | None = None) -> Fields | None:
    """The fields of a row whose names fit a shape (of one layout, if it is given)."""
    for shape in SHAPES:
        user = first(names, shape.user)
        if user is None or (layout and shape.layout != layout):
            continue
        assistant = first(names, shape.assistant)
        if assistant is None:
            continue
        given_input = first(names, shape.input) if shape.input else None
        system, history = first(names, SYSTEM), names.get("history")
        return Fields(shape.layout, user, assistant, given_input, system, history, shape.input_first)
    return None


def question_text(value: Mapping[str, Any], fields: Fields, note: Note) -> str:
    """Read the user's text: instruction, blank line, input. Either may be blank, but not both.

    Raises: RowError: it cannot be used.
    """
    question = value.get(fields.user)
    given = optional_text(value.get(fields.input), note) if fields.input else ""
    if given and given.strip().lower() in _NO_INPUT:
        note("no_input_dropped")
        given = ""
    text = field_text(question, note) if not given else optional_text(question, note)
    if not given or not text:
        return text or given
    return f"{given}\n\n{text}" if fields.input_first else f"{text}\n\n{given}"
