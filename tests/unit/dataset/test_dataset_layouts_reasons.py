"""Why a row cannot be read: each reason by examples, in each layout it can come from."""

from __future__ import annotations

import math

import pytest

from shared.dataset import layouts
from shared.dataset.errors import RowError
from shared.dataset.reasons import NOTES, REJECTED

Q, A = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}


def _sharegpt(*turns, **fields):
    return {"conversations": [{"from": speaker, "value": value} for speaker, value in turns], **fields}


def _gemini(*parts):
    return {"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": list(parts)}]}


REFUSED = [
    ("missing_messages", "openai", {}),
    ("missing_messages", "openai", {"messages": None}),
    ("missing_messages", "prompt_messages", {"prompt": "x"}),
    ("missing_messages", "openai", {"messages": {"role": ["user"], "content": []}}),
    ("missing_conversation", "sharegpt", {"id": 1}),
    ("missing_conversation", "pairs", {"conversation": 7}),
    ("missing_conversation", "gemini", {"contents": "x"}),
    ("messages_unreadable", "openai", {"messages": '[{"role": "user"'}),
    ("messages_unreadable", "openai", {"messages": "[{'role': 'user', 'content': open('x')}]"}),
    ("messages_unreadable", "sharegpt", {"conversations": "['unclosed"}),
    ("duplicate_key", "openai", {"messages": '[{"role": "user", "content": "x", "content": "y"}]'}),
    ("missing_prompt", "alpaca", {}),
    ("missing_prompt", "alpaca", {"output": "y"}),
    ("missing_prompt", "question_answer", {"answer": "y"}),
    ("missing_prompt", "columns", {"assistant": "y", "id": 1}),
    ("missing_answer", "alpaca", {"instruction": "x", "input": "z"}),
    ("missing_answer", "question_answer", {"question": "x"}),
    ("missing_answer", "columns", {"user": "x"}),
    ("missing_answer", "question_answer", {"question": "x", "answer": []}),
    (
        "missing_answer",
        "question_answer",
        {"context": "c", "question": "x", "answers": {"text": [], "answer_start": []}},
    ),
    ("missing_content", "alpaca", {"instruction": "x", "input": "", "output": None}),
    ("missing_content", "alpaca", {"instruction": None, "input": "x", "output": "y"}),
    ("missing_content", "question_answer", {"question": "x", "answer": None}),
    ("missing_content", "question_answer", {"question": "x", "answer": math.nan}),
    ("missing_content", "question_answer", {"question": "x", "answer": {"text": [None]}}),
    ("missing_content", "sharegpt", _sharegpt(("human", None))),
    (
        "missing_content",
        "pairs",
        {"conversation": [{"human": "x", "assistant": "y"}, {"human": "x", "assistant": None}]},
    ),
    ("missing_content", "pairs", {"conversations": ["x", None]}),
    ("content_not_text", "question_answer", {"question": "x", "answer": True}),
    ("content_not_text", "question_answer", {"question": "x", "answer": math.inf}),
    ("content_not_text", "question_answer", {"question": "x", "answer": 10**5000}),
    ("content_not_text", "question_answer", {"question": "x", "answer": {"label": 1}}),
    ("content_not_text", "question_answer", {"question": "x", "answer": [["y"]]}),
    ("content_not_text", "question_answer", {"question": {}, "answer": "y"}),
    ("content_not_text", "alpaca", {"instruction": "x", "input": {"a": 1}, "output": "y"}),
    ("content_not_text", "alpaca", {"instruction": [Q], "input": "z", "output": "y"}),
    ("content_not_text", "alpaca", {"instruction": "x", "output": "y", "system": {"a": 1}}),
    ("content_not_text", "sharegpt", _sharegpt(("human", 7))),
    ("content_not_text", "pairs", {"conversations": ["x", ["y"]]}),
    ("content_not_text", "gemini", _gemini({"inlineData": {"mimeType": "image/png"}})),
    ("content_not_text", "openai", {"messages": [{"role": "user", "content": [{"type": ["text"], "text": "x"}]}]}),
    ("tool_calls", "gemini", _gemini({"functionCall": {"name": "f"}})),
    ("tool_calls", "openai", {"messages": [Q, {"role": "assistant", "content": [{"type": "tool_use"}]}]}),
    ("tool_calls", "openai", {"messages": [Q, {"role": "assistant", "content": [{"toolUse": {"name": "f"}}]}]}),
    *(
        ("tool_calls", "sharegpt", _sharegpt(("human", "x"), (role, "{}"), ("gpt", "y")))
        for role in ("tool", "function_call", "function-call", "observation", "Function Response", "tool_response")
    ),
    ("unknown_role", "sharegpt", _sharegpt(("narrator", "x"))),
    ("unknown_role", "sharegpt", _sharegpt(([], "x"))),
    ("unknown_role", "openai", {"messages": [{"role": "user" * 50, "content": "x"}]}),
    ("missing_role", "sharegpt", {"conversations": [{"from": "human", "value": "x"}, {"value": "y"}]}),
    ("message_not_an_object", "sharegpt", {"conversations": [None, {"from": "human", "value": "x"}]}),
    ("message_not_an_object", "prompt_completion", {"prompt": [Q, "x"], "completion": [A]}),
    ("pair_incomplete", "pairs", {"conversation": [["x", "y"], ["x"]]}),
    ("pair_incomplete", "pairs", {"conversation": [["x", "y"], "x"]}),
    ("pair_incomplete", "pairs", {"conversation": [{"human": "x", "assistant": "y"}, {"human": "x"}]}),
    ("pair_incomplete", "alpaca", {"instruction": "x", "output": "y", "history": [["a", "b", "c"]]}),
    ("history_not_turns", "alpaca", {"instruction": "x", "output": "y", "history": "as before"}),
    ("history_not_turns", "alpaca", {"instruction": "x", "output": "y", "history": 7}),
    ("two_system_prompts", "openai", {"system": "a", "messages": [{"role": "system", "content": "b"}, Q, A]}),
    ("two_system_prompts", "sharegpt", _sharegpt(("system", "b"), ("human", "x"), system_prompt="a")),
    ("media", "sharegpt", _sharegpt(("human", "<image>\nWhat?"), ("gpt", "A dog."), image="dog.jpg")),
    ("media", "alpaca", {"instruction": "<audio>What?", "output": "A dog.", "audios": ["dog.wav"]}),
    ("nothing_to_train", "openai", {"messages": [Q, {**A, "train": False}]}),
    ("lone_surrogate", "openai", {"messages": r"[{'role': 'user', 'content': '\ud800'}]"}),
]


@pytest.mark.parametrize(("reason", "name", "row"), REFUSED)
def test_row_is_refused_with_its_reason(reason, name, row):
    for layout in (layouts.detect([GOOD[name]]), layouts.chosen(name, {})):
        with pytest.raises(RowError) as caught:
            layout.read(row, [].append)

        assert caught.value.reason == reason


GOOD = {
    "prompt_messages": {"prompt": "x", "messages": [Q, A]},
    "openai": {"messages": [Q, A]},
    "sharegpt": _sharegpt(("human", "x"), ("gpt", "y")),
    "pairs": {"conversation": [["x", "y"]]},
    "gemini": _gemini({"text": "y"}),
    "alpaca": {"instruction": "x", "output": "y"},
    "prompt_completion": {"prompt": "x", "completion": "y"},
    "question_answer": {"question": "x", "answer": "y"},
    "columns": {"user": "x", "assistant": "y"},
}


def test_reasons_are_those_of_the_table():
    assert {reason for reason, _, _ in REFUSED} <= REJECTED.keys()


@pytest.mark.parametrize(
    ("note", "row"),
    [
        ("number_as_text", {"question": "x", "answer": 1}),
        ("first_answer_taken", {"question": "x", "answer": ["y", "z"]}),
        ("no_input_dropped", {"instruction": "x", "input": "<noinput>", "output": "y"}),
        ("python_list", {"conversations": "['x', 'y']"}),
        ("content_parts_joined", {"messages": [Q, {**A, "content": ["y", "z"]}]}),
        ("name_dropped", {"messages": [Q, {**A, "name": "z"}]}),
        ("weight_ignored", {"messages": [Q, {**A, "train": True}]}),
        ("weight_zero_ignored", {"messages": [Q, {**A, "weight": 0}, Q, {**A, "weight": 1}]}),
        ("tools_dropped", {"question": "x", "answer": "y", "tools": [1]}),
        ("unknown_field", {"question": "x", "answer": "y", "score": 0}),
        ("unknown_field", {"messages": [Q, {**A, "timestamp": 1}]}),
        ("unknown_field", {"dialog": [{"q": "x", "a": "y", "score": 0}]}),
        ("prompt_id_replaced", {"messages": [Q, A], "prompt_id": 1}),
        ("role_spelling", {"messages": [{**Q, "role": "Human"}, A]}),
    ],
)
def test_what_is_mended_or_left_out_is_noted(note, row):
    notes: list[str] = []
    layouts.detect([row]).read(row, notes.append)

    assert set(notes) == {note}
    assert note in NOTES


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ({"user": "q", "assistant": "a", "system": "s"}, {"q": "x", "a": "y"}),
        ({"messages": "m", "system": "s"}, {"m": [Q, A]}),
    ],
)
def test_mapped_column_that_is_not_there_is_noted(columns, row):
    notes: list[str] = []

    assert len(layouts.chosen(None, columns).read(row, notes.append).messages) == 2
    assert notes == ["column_missing"]


def test_empty_fields_are_nothing_to_note():
    notes: list[str] = []
    row = {"question": "x", "answer": "y", "score": None, "source": "", "tags": [], "meta": {}, "tools": None}

    layouts.detect([row]).read(row, notes.append)

    assert notes == []


def test_picture_fields_without_a_picture_in_the_text_are_only_left_out():
    notes: list[str] = []
    row = {"question": "x", "answer": "y", "image": "logo.png"}

    layouts.detect([row]).read(row, notes.append)

    assert notes == ["unknown_field"]
