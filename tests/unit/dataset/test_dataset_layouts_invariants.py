"""What holds for any conversation and any value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataset import layouts
from shared.dataset.errors import RowError
from shared.dataset.reasons import NOTES, REJECTED

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda t: not t.isspace())
_NAMES = (
    "messages",
    "conversations",
    "conversation",
    "contents",
    "data",
    "items",
    "history",
    "system",
    "tools",
    "image",
)
_MORE_NAMES = ("instruction", "input", "output", "prompt", "prompt_id", "completion", "question", "answer", "context")
_INNER_NAMES = (
    "role",
    "from",
    "content",
    "value",
    "text",
    "parts",
    "type",
    "weight",
    "user",
    "assistant",
    "name",
    "label",
)
_SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    st.sampled_from(
        ["user", "assistant", "human", "gpt", "tool", "[", '[{"role": "user"}]', "[{'from': 'x'}]", "[1 2]"]
    ),
)
_KEYS = st.sampled_from([*_NAMES, *_MORE_NAMES, *_INNER_NAMES]) | st.text(max_size=3)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_ROWS = st.dictionaries(_KEYS, _VALUES, max_size=5)


@st.composite
def conversations(draw):
    """(system or None, [(question, answer), ...])"""
    return draw(st.none() | _TEXT), draw(st.lists(st.tuples(_TEXT, _TEXT), min_size=1, max_size=3))


def _turns(system, pairs):
    turns = [("system", system)] if system is not None else []
    return turns + [turn for question, answer in pairs for turn in (("user", question), ("assistant", answer))]


def _messages(system, pairs, role="role", content="content", **spelling):
    return [{role: spelling.get(r, r), content: text} for r, text in _turns(system, pairs)]


def _with_system(system, row):
    return row if system is None else {"system": system, **row}


def _last(system, pairs, user, assistant, **fields):
    (question, answer), history = pairs[-1], [list(pair) for pair in pairs[:-1]]
    row = {user: question, assistant: answer, **fields}
    return _with_system(system, row if not history else {**row, "history": history})


def _sharegpt(system, pairs):
    return {"conversations": _messages(system, pairs, "from", "value", user="human", assistant="gpt")}


def _gemini(system, pairs):
    contents = [
        {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
        for role, text in _turns(None, pairs)
    ]
    return (
        {"contents": contents}
        if system is None
        else {"contents": contents, "systemInstruction": {"parts": [{"text": system}]}}
    )


WRITERS = {
    "openai": lambda s, p: {"messages": _messages(s, p)},
    "openai with system": lambda s, p: _with_system(s, {"messages": _messages(None, p)}),
    "openai, CSV": lambda s, p: {"messages": json.dumps(_messages(s, p))},
    "openai, CSV from pandas": lambda s, p: {"messages": str(_messages(s, p))},
    "openai, CSV from NumPy": lambda s, p: {"messages": "[" + "\n ".join(map(str, _messages(s, p))) + "]"},
    "openai, Parquet": lambda s, p: {"id": None, "messages": [{**m, "name": None} for m in _messages(s, p)]},
    "openai, parts": lambda s, p: {
        "messages": [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in _messages(s, p)]
    },
    "prompt_messages": lambda s, p: {"prompt": p[0][0], "prompt_id": "1", "messages": _messages(s, p)},
    "sharegpt": _sharegpt,
    "sharegpt, other names": lambda s, p: {
        "conversation": _messages(s, p, "speaker", "text", user="USER", assistant="Bot")
    },
    "pairs": lambda s, p: _with_system(s, {"conversation": [{"human": q, "assistant": a} for q, a in p]}),
    "pairs, lists": lambda s, p: _with_system(s, {"dialogue": [list(pair) for pair in p]}),
    "pairs, texts": lambda s, p: _with_system(s, {"data": [text for pair in p for text in pair]}),
    "gemini": _gemini,
    "alpaca": lambda s, p: _last(s, p, "instruction", "output", input=""),
    "alpaca, LLaMA-Factory": lambda s, p: _last(s, p, "query", "response"),
    "prompt_completion": lambda s, p: _last(s, p, "prompt", "completion"),
    "prompt_completion, TRL": lambda s, p: {"prompt": _messages(s, p)[:-1], "completion": _messages(s, p)[-1:]},
    "question_answer": lambda s, p: _last(s, p, "Question", "Answer"),
    "columns": lambda s, p: _last(s, p, "user", "assistant"),
}


@pytest.mark.parametrize("writer", WRITERS)
@given(rows=st.lists(conversations(), min_size=1, max_size=4))
def test_conversation_is_the_same_in_every_layout(writer, rows):
    written = [WRITERS[writer](*row) for row in rows]

    layout = layouts.detect(written)

    assert layout is not None
    assert layout.name == writer.split(",")[0].split(" ")[0]
    for row, value in zip(rows, written, strict=True):
        read = layout.read(value, [].append)
        assert [(message.role, message.content) for message in read.messages] == _turns(*row)


_LAYOUTS = [layouts.chosen(name, {}) for name in layouts.NAMES] + [
    layouts.chosen(None, {"user": "input", "assistant": "output", "history": "history", "system": "system"}),
    layouts.chosen(None, {"messages": "data", "role": "from"}),
    layouts.chosen("alpaca", {"assistant": "text"}),
]


@given(row=_ROWS)
def test_any_value_is_read_or_refused(row):
    notes: list[str] = []
    for layout in [*_LAYOUTS, *filter(None, [layouts.detect([row])])]:
        try:
            read = layout.read(row, notes.append)
        except RowError as error:
            assert error.reason in REJECTED
        else:
            assert all(isinstance(message.content, str) for message in read.messages)
            assert {message.role for message in read.messages} <= {"system", "user", "assistant"}
    assert set(notes) <= NOTES.keys()
    assert not (layouts.detect([row]) and layouts.unsupported([row]))


@pytest.mark.parametrize(
    "field", ["messages", "conversations", "data", "contents", "history", "answer", "system", "input"]
)
@pytest.mark.parametrize("shape", [lambda v: [v], lambda v: {"text": v}, lambda v: {"content": v, "role": "user"}])
def test_deep_nesting_is_refused_or_ignored(field, shape):
    value = "x"
    for _ in range(20_000):
        value = shape(value)
    row = {"instruction": "x", "output": "y", field: value}

    for layout in _LAYOUTS:
        try:
            layout.read(row, [].append)
        except RowError as error:
            assert error.reason in REJECTED
    # Freeing it level by level: the interpreter may not be able to do it at once.
    while isinstance(value, list | dict):
        value = value.pop() if isinstance(value, list) else value.popitem()[1]
