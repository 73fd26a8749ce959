"""Layouts chosen by the user: what is read, and what is said of choices that cannot be."""

from __future__ import annotations

import pytest

from shared.dataset import layouts
from shared.dataset.errors import PrepareOptionsError, RowError

READ = [
    (None, {"user": "ask", "assistant": "reply"}, {"ask": "x", "reply": "y"}, "columns", "user:x assistant:y"),
    (
        None,
        {"prompt": "ask", "assistant": "reply"},
        {"ask": "x", "reply": "y"},
        "prompt_completion",
        "user:x assistant:y",
    ),
    (
        None,
        {"user": "ask", "input": "about", "assistant": "reply", "system": "rules", "history": "before"},
        {"ask": "x", "about": "z", "reply": "y", "rules": "s", "before": [["a", "b"]]},
        *("alpaca", "system:s user:a assistant:b user:x\n\nz assistant:y"),
    ),
    (
        "alpaca",
        {"assistant": "reply"},
        {"instruction": "x", "input": "z", "output": "no", "reply": "y", "system": "s"},
        *("alpaca", "system:s user:x\n\nz assistant:y"),
    ),
    (
        "question_answer",
        {"user": "answer", "assistant": "question"},
        {"answer": "x", "question": "y"},
        "question_answer",
        "user:x assistant:y",
    ),
    (
        "question_answer",
        {"system": "rules"},
        {"question": "x", "context": "c", "answer": "y", "rules": "s"},
        "question_answer",
        "system:s user:c\n\nx assistant:y",
    ),
    (None, {"user": "text", "assistant": "label"}, {"text": "x", "label": "spam"}, "columns", "user:x assistant:spam"),
    (None, {"user": "Ask", "assistant": "Reply"}, {"ask": "x", "REPLY": "y"}, "columns", "user:x assistant:y"),
    (
        None,
        {"user": "x1", "assistant": "chosen"},
        {"x1": "x", "chosen": "y", "rejected": "z"},
        "columns",
        "user:x assistant:y",
    ),
    (
        None,
        {"messages": "chosen"},
        {"chosen": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "rejected": []},
        *("openai", "user:x assistant:y"),
    ),
    (
        None,
        {"messages": "log", "role": "who", "content": "what"},
        {"log": [{"who": "human", "what": "x"}, {"who": "ai", "what": "y"}]},
        *("openai", "user:x assistant:y"),
    ),
    (
        "sharegpt",
        {"role": "who"},
        {"conversations": [{"who": "human", "value": "x"}, {"who": "gpt", "value": "y"}]},
        *("sharegpt", "user:x assistant:y"),
    ),
    (
        "openai",
        {"messages": "log", "system": "rules"},
        {"log": '[{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]', "rules": "s"},
        *("openai", "system:s user:x assistant:y"),
    ),
    ("pairs", {"messages": "log"}, {"log": [["x", "y"]]}, "pairs", "user:x assistant:y"),
    ("gemini", {"messages": "log"}, {"log": [{"role": "model", "parts": [{"text": "y"}]}]}, "gemini", "assistant:y"),
    ("openai", {}, {"conversations": [{"role": "user", "content": "x"}]}, "openai", "user:x"),
    (
        "question_answer",
        {},
        {"question": "x", "context": "c", "answer": "y"},
        "question_answer",
        "user:c\n\nx assistant:y",
    ),
    (
        "prompt_completion",
        {},
        {"instruction": "i", "input": "x", "output": "y"},
        "prompt_completion",
        "user:x assistant:y",
    ),
]


@pytest.mark.parametrize(("name", "columns", "row", "expected", "conversation"), READ)
def test_chosen_layout_reads_the_columns_it_was_told(name, columns, row, expected, conversation):
    layout = layouts.chosen(name, columns)

    assert layout.name == expected
    assert " ".join(f"{m.role}:{m.content}" for m in layout.read(row, [].append).messages) == conversation


@pytest.mark.parametrize(
    ("name", "columns", "row", "reason"),
    [
        (None, {"user": "ask", "assistant": "reply"}, {"reply": "y"}, "missing_prompt"),
        (None, {"user": "ask", "assistant": "reply"}, {"ask": "x"}, "missing_answer"),
        (None, {"user": "ask", "assistant": "reply"}, {"ask": "x", "reply": None}, "missing_content"),
        (None, {"messages": "log"}, {"messages": []}, "missing_conversation"),
        (None, {"messages": "log"}, {"log": "text"}, "missing_conversation"),
        (None, {"messages": "log"}, {"log": "[}"}, "messages_unreadable"),
        (None, {"role": "who", "content": "what"}, {"messages": [{"role": "user", "what": "x"}]}, "missing_role"),
        ("alpaca", {}, {"prompt": "x", "completion": "y"}, "layout_differs"),
        ("openai", {}, {"prompt": "x", "completion": "y"}, "layout_differs"),
    ],
)
def test_row_without_what_was_chosen_is_refused(name, columns, row, reason):
    with pytest.raises(RowError) as caught:
        layouts.chosen(name, columns).read(row, [].append)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        (None, {}, "columns need user and assistant, or messages"),
        (None, {"system": "s"}, "columns need user and assistant, or messages"),
        ("chatml", {}, "layout is 'chatml', expected one of prompt_messages, openai, sharegpt"),
        (None, {"user": "q", "assistant": "a", "label": "l"}, "columns map 'label', which is not one of user, prompt"),
        (None, {"user": "q", "assistant": ""}, "columns map assistant to '', expected the name of a column"),
        (None, {"user": "q", "assistant": 7}, "columns map assistant to 7, expected the name of a column"),
        (None, {"user": "q", "prompt": "p", "assistant": "a"}, "both prompt and user"),
        (None, {"user": "q", "assistant": "q"}, "both user and assistant to 'q'; each needs its own"),
        (None, {"user": "q"}, "columns map user, but not assistant"),
        (None, {"assistant": "a", "system": "s"}, "columns map assistant, but not user"),
        (None, {"input": "i"}, "but not user and assistant"),
        (None, {"user": "q", "assistant": "a", "messages": "m"}, "map one or the other"),
        ("openai", {"user": "q", "assistant": "a"}, "layout openai has one column with a list"),
        ("alpaca", {"messages": "m"}, "layout alpaca has a column for each side"),
        ("gemini", {"role": "r"}, "role and content cannot be mapped for layout gemini"),
    ],
)
def test_choice_that_cannot_be_is_explained(name, columns, expected):
    with pytest.raises(PrepareOptionsError) as caught:
        layouts.chosen(name, columns)

    assert expected in str(caught.value)


def test_all_faults_come_in_one_message():
    with pytest.raises(PrepareOptionsError) as caught:
        layouts.chosen("x", {"y": "z", "user": " "})

    assert str(caught.value).count(";") == 2


def test_every_layout_can_be_forced():
    assert [layouts.chosen(name, {}).name for name in layouts.NAMES] == list(layouts.NAMES)


def test_columns_of_a_message_may_be_named_like_those_of_a_row():
    assert layouts.chosen(None, {"messages": "x", "role": "x", "content": "y"}).name == "openai"
