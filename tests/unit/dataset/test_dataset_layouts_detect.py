"""Which layout a file is in, and what is said of those that cannot be trained on."""

from __future__ import annotations

import pytest

from shared.dataset import layouts
from shared.dataset.errors import RowError

ALPACA = {"instruction": "x", "output": "y"}
QUESTION = {"question": "x", "answer": "y"}
SHAREGPT = {"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}
OPENAI = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
PAIRS = {"conversation": [{"human": "x", "assistant": "y"}]}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": [{"text": "y"}]}]}
COLUMNS = {"user": "x", "assistant": "y"}
COMPLETION = {"prompt": "x", "completion": "y"}
EACH = {
    "openai": OPENAI,
    "sharegpt": SHAREGPT,
    "pairs": PAIRS,
    "gemini": GEMINI,
    "alpaca": ALPACA,
    "prompt_completion": COMPLETION,
    "question_answer": QUESTION,
    "columns": COLUMNS,
}


def _name(rows):
    layout = layouts.detect(rows)
    return layout and layout.name


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([QUESTION, ALPACA, ALPACA], "alpaca"),
        ([QUESTION, ALPACA], "question_answer"),
        ([ALPACA, QUESTION], "alpaca"),
        ([{}, {"x": 1}, SHAREGPT], "sharegpt"),
        ([{"question": "x", "answer": None}] * 5 + [QUESTION], "question_answer"),
        ([{"text": "x"}, {"text": "x"}, QUESTION], None),
        ([], None),
        ([{}, {"x": 1}, {"messages": 7}, {"a": 1}], None),
        ([{"user": "ann", "model": "gpt-4"}], None),
        ([{"conversations": []}, {"conversations": None}], "sharegpt"),
        ([{"messages": []}], "openai"),
        ([{"contents": []}], "gemini"),
        ([{"items": ["apple", "pear"], "question": "x", "answer": "y"}], "question_answer"),
        ([{"data": "x", "turns": 3, **QUESTION}], "question_answer"),
    ],
)
def test_layout_is_that_of_most_rows_and_else_the_first(rows, expected):
    assert _name(rows) == expected


UNSUPPORTED = {
    "preference pairs": [
        {"prompt": "x", "chosen": "a", "rejected": "b"},
        {"chosen": [{"role": "user", "content": "x"}], "rejected": []},
        {"input": {"messages": []}, "preferred_output": [1], "non_preferred_output": [1]},
        {"prompt": "x", "response_0": "a", "response_1": "b", "better_response_id": 0},
    ],
    "answers with a verdict": [
        {"prompt": "x", "completion": "y", "label": True},
        {"prompt": "x", "completion": "y", "label": "False"},
    ],
    "multiple choice": [
        {"question": "x", "choices": ["a", "b"], "answer": 1},
        {"question": "x", "options": {"A": "a"}, "answer": "A"},
        {"question": "x", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"},
    ],
    "conversation trees": [{"message_id": "1", "parent_id": None, "text": "x", "role": "prompter"}],
    "MOSS": [{"meta_instruction": "x", "chat": {"turn_1": {"Human": "x", "MOSS": "y"}}}],
    "translations": [{"translation": {"en": "x", "de": "y"}}],
    "batch": [{"custom_id": "1", "method": "POST", "url": "/v1", "body": {"messages": []}}],
    "transcripts": [{"system": "SYSTEM: x", "chat": "USER: x ASSISTANT: y <|endoftext|>"}, {"conversation": "A: x"}],
    "classification": [{"text": "x", "label": 1}, {"premise": "x", "hypothesis": "y", "label": 0}],
    "plain text": [{"text": "### Human: x### Assistant: y"}, {"plain_text": "x"}, {"sample": "x"}],
    "questions without answers": [{"prompt": "x"}, {"question": "x", "id": 1}],
    "answers without questions": [{"completion": "x"}, {"output": "x"}],
}


@pytest.mark.parametrize(("title", "row"), [(title, row) for title, rows in UNSUPPORTED.items() for row in rows])
def test_unusable_layout_is_named_with_what_to_do(title, row):
    assert layouts.detect([row]) is None
    sentence = layouts.unsupported([row])
    assert sentence is not None
    assert title in sentence
    assert ";" in sentence


def test_unknown_fields_have_no_name():
    assert layouts.unsupported([{}, {"x": "y"}]) is None


def test_texts_of_a_list_are_not_taken_for_conversations_in_vague_fields():
    assert layouts.detect([{"items": ["only one"]}, {"data": [1, 2]}, {"turns": "none"}]) is None


@pytest.mark.parametrize(("name", "other"), [(name, other) for name in EACH for other in EACH if name != other])
def test_row_in_another_layout_than_the_file_is_refused(name, other):
    layout = layouts.detect([EACH[name]])

    with pytest.raises(RowError) as caught:
        layout.read(EACH[other], [].append)

    assert caught.value.reason == "layout_differs"


def test_the_two_layouts_of_messages_mix():
    with_prompt = {"prompt": "x", **OPENAI}

    for first, second in ((OPENAI, with_prompt), (with_prompt, OPENAI)):
        assert len(layouts.detect([first]).read(second, [].append).messages) == 2


def test_variants_of_one_layout_mix():
    dolly = {"instruction": "x", "context": "c", "response": "y"}

    assert layouts.detect([ALPACA]).read(dolly, [].append).messages[0].content == "x\n\nc"


def test_question_may_come_with_a_text_or_without():
    layout = layouts.detect([QUESTION, {"context": "c", **QUESTION}])

    assert layout.read({"context": None, **QUESTION}, [].append).messages[0].content == "x"
    assert layout.read({"context": "c", **QUESTION}, [].append).messages[0].content == "c\n\nx"


@pytest.mark.parametrize("name", ["openai", "sharegpt", "pairs", "gemini"])
def test_list_without_turns_is_a_conversation_without_messages(name):
    key = next(iter(EACH[name]))

    assert layouts.detect([EACH[name]]).read({key: []}, [].append).messages == []


def test_layouts_have_titles():
    assert all(layouts.chosen(name, {}).title for name in layouts.NAMES)
    assert "ShareGPT" in layouts.detect([SHAREGPT]).title
