"""Rows as public datasets and the tools around them write them, and the conversations they are."""

from __future__ import annotations

import json

import pytest

from shared.dataset import layouts

Q, A = ("user", "Where?"), ("assistant", "There.")
Q2, A2 = ("user", "Why?"), ("assistant", "So.")
S = ("system", "Be kind.")

OPENAI = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}]
SHAREGPT = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "There."}]

# name -> (row, layout, conversation, notes)
ROWS = {
    # prompt_messages
    "ultrachat_200k": ({"prompt": "Where?", "prompt_id": "1", "messages": OPENAI}, "prompt_messages", [Q, A], set()),
    "no_robots": (
        {"prompt": "Where?", "prompt_id": "1", "messages": OPENAI, "category": "Chat"},
        *("prompt_messages", [Q, A], {"unknown_field"}),
    ),
    # openai
    "openai": ({"messages": OPENAI}, "openai", [Q, A], set()),
    "openai with tools": ({"messages": OPENAI, "tools": [{"type": "function"}]}, "openai", [Q, A], {"tools_dropped"}),
    "tulu": ({"id": "1", "messages": OPENAI, "source": "x"}, "openai", [Q, A], {"unknown_field"}),
    "parquet with gaps": (
        {
            "id": None,
            "messages": [{**m, "name": None, "tool_calls": None, "weight": None} for m in OPENAI],
            "tools": None,
        },
        *("openai", [Q, A], set()),
    ),
    "csv": ({"messages": json.dumps(OPENAI), "id": ""}, "openai", [Q, A], set()),
    "csv from pandas": ({"messages": str(OPENAI)}, "openai", [Q, A], {"python_list"}),
    "csv from pandas and parquet": (
        {"messages": "[" + "\n ".join(map(str, OPENAI)) + "]"},
        *("openai", [Q, A], {"python_list"}),
    ),
    "columns of a list": (
        {"messages": {"role": ["user", "assistant"], "content": ["Where?", "There."]}},
        *("openai", [Q, A], set()),
    ),
    "anthropic": ({"system": "Be kind.", "messages": OPENAI}, "openai", [S, Q, A], set()),
    "anthropic blocks": (
        {"system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}], "messages": OPENAI},
        *("openai", [S, Q, A], set()),
    ),
    "bedrock": (
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": "Be kind."}],
            "messages": [
                {"role": "user", "content": [{"text": "Where?"}]},
                {"role": "assistant", "content": [{"text": "There."}]},
            ],
        },
        *("openai", [S, Q, A], {"content_parts_joined", "unknown_field"}),
    ),
    "system said twice": (
        {"system": "Be kind.", "messages": [{"role": "system", "content": "Be kind."}, *OPENAI]},
        *("openai", [S, Q, A], set()),
    ),
    "blank system": ({"system": "  ", "messages": OPENAI}, "openai", [Q, A], set()),
    "cohere": (
        {"messages": [{"role": "User", "content": "Where?"}, {"role": "Chatbot", "content": "There."}]},
        *("openai", [Q, A], {"role_spelling"}),
    ),
    "palm": (
        {"context": "x", "messages": [{"author": "user", "content": "Where?"}, {"author": "bot", "content": "There."}]},
        *("openai", [Q, A], {"role_spelling", "unknown_field"}),
    ),
    "capital names": (
        {"Messages": [{"Role": "user", "Content": "Where?"}, {"Role": "assistant", "Content": "There."}]},
        *("openai", [Q, A], set()),
    ),
    "openhermes weights": (
        {"messages": [{**OPENAI[0], "weight": 0}, {**OPENAI[1], "weight": 1}]},
        *("openai", [Q, A], {"weight_ignored"}),
    ),
    # sharegpt
    "ShareGPT_Vicuna_unfiltered": ({"id": "a_0", "conversations": SHAREGPT}, "sharegpt", [Q, A], {"unknown_field"}),
    "ShareGPT90k": ({"id": "a", "items": SHAREGPT}, "sharegpt", [Q, A], {"unknown_field"}),
    "SlimOrca": (
        {
            "conversations": [
                {"from": "system", "value": "Be kind.", "weight": None},
                {"from": "human", "value": "Where?", "weight": 0.0},
                {"from": "gpt", "value": "There.", "weight": 1.0},
            ]
        },
        *("sharegpt", [S, Q, A], {"weight_ignored"}),
    ),
    "OpenHermes-2.5": (
        {
            **dict.fromkeys(("custom_instruction", "topic", "model_name", "model", "skip_prompt_formatting")),
            "category": "orca",
            "conversations": SHAREGPT,
            "views": None,
            "language": None,
            "id": None,
            **dict.fromkeys(("title", "idx", "hash", "avatarUrl", "system_prompt", "source")),
        },
        *("sharegpt", [Q, A], {"unknown_field"}),
    ),
    "WizardLM_evol_instruct_V2": ({"idx": "x", "conversations": SHAREGPT}, "sharegpt", [Q, A], {"unknown_field"}),
    "Magpie": (
        {"instruction": "Where?", "response": "There.", "conversations": SHAREGPT},
        *("sharegpt", [Q, A], {"unknown_field"}),
    ),
    "LLaMA-Factory sharegpt": (
        {"conversations": SHAREGPT, "system": "Be kind.", "tools": "[]"},
        *("sharegpt", [S, Q, A], {"tools_dropped"}),
    ),
    "LLaMA-Factory without system and tools": (
        {"conversations": SHAREGPT, "system": "", "tools": ""},
        *("sharegpt", [Q, A], set()),
    ),
    "messages with from": ({"messages": SHAREGPT}, "sharegpt", [Q, A], set()),
    "lmsys-chat-1m": ({"model": "vicuna", "conversation": OPENAI}, "sharegpt", [Q, A], {"unknown_field"}),
    "other names": (
        {"conversations": [{"speaker": "USER", "text": "Where?"}, {"speaker": "chatgpt", "text": "There."}]},
        *("sharegpt", [Q, A], {"role_spelling"}),
    ),
    "bing and bard": (
        {
            "conversations": [
                {"from": r, "value": v} for r, v in zip(("user", "bing"), ("Where?", "There."), strict=True)
            ]
        },
        *("sharegpt", [Q, A], set()),
    ),
    "sharegpt in csv": ({"conversations": json.dumps(SHAREGPT)}, "sharegpt", [Q, A], set()),
    # pairs
    "moss": (
        {
            "conversation_id": "1",
            "conversation": [{"human": "Where?", "assistant": "There."}, {"human": "Why?", "assistant": "So."}],
        },
        *("pairs", [Q, A, Q2, A2], {"unknown_field"}),
    ),
    "Capybara": (
        {"source": "x", "conversation": [{"input": "Where?", "output": "There."}]},
        *("pairs", [Q, A], {"unknown_field"}),
    ),
    "UltraChat": ({"id": "0", "data": ["Where?", "There.", "Why?", "So."]}, "pairs", [Q, A, Q2, A2], {"unknown_field"}),
    "LIMA": ({"conversations": ["Where?", "There."], "source": "x"}, "pairs", [Q, A], {"unknown_field"}),
    "lists of two": ({"dialog": [["Where?", "There."], ["Why?", "So."]]}, "pairs", [Q, A, Q2, A2], set()),
    "pairs with system": ({"system": "Be kind.", "turns": [["Where?", "There."]]}, "pairs", [S, Q, A], set()),
    # gemini
    "vertex": (
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be kind."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Where?"}]},
                {"role": "model", "parts": [{"text": "There."}]},
            ],
        },
        *("gemini", [S, Q, A], set()),
    ),
    # alpaca
    "alpaca": ({"instruction": "Where?", "input": "", "output": "There."}, "alpaca", [Q, A], set()),
    "alpaca with input": (
        {"instruction": "Where?", "input": "Here?", "output": "There."},
        *("alpaca", [("user", "Where?\n\nHere?"), A], set()),
    ),
    "alpaca noinput": (
        {"instruction": "Where?", "input": "<noinput>", "output": "There."},
        *("alpaca", [Q, A], {"no_input_dropped"}),
    ),
    "alpaca input alone": ({"instruction": " ", "input": "Where?", "output": "There."}, "alpaca", [Q, A], set()),
    "alpaca_gpt4": (
        {"instruction": "Where?", "input": None, "output": "There.", "text": "Below is an instruction"},
        *("alpaca", [Q, A], {"unknown_field"}),
    ),
    "alpaca with history": (
        {
            "instruction": "Why?",
            "input": "",
            "output": "So.",
            "system": "Be kind.",
            "history": [["Where?", "There."]],
        },
        *("alpaca", [S, Q, A, Q2, A2], set()),
    ),
    "alpaca with history in csv": (
        {"instruction": "Why?", "input": "", "output": "So.", "system": "", "history": "[['Where?', 'There.']]"},
        *("alpaca", [Q, A, Q2, A2], {"python_list"}),
    ),
    "alpaca with history of messages": (
        {"instruction": "Why?", "output": "So.", "history": OPENAI},
        *("alpaca", [Q, A, Q2, A2], set()),
    ),
    "alpaca with empty history": (
        {"instruction": "Where?", "output": "There.", "history": []},
        "alpaca",
        [Q, A],
        set(),
    ),
    "dolly-15k": (
        {"instruction": "Where?", "context": "Here?", "response": "There.", "category": "open_qa"},
        *("alpaca", [("user", "Where?\n\nHere?"), A], {"unknown_field"}),
    ),
    "OpenOrca": (
        {"id": "niv.1", "system_prompt": "Be kind.", "question": "Where?", "response": "There."},
        *("alpaca", [S, Q, A], {"unknown_field"}),
    ),
    "OpenOrca without system": (
        {"system_prompt": "", "question": "Where?", "response": "There."},
        *("alpaca", [Q, A], set()),
    ),
    "gpteacher": ({"instruction": "Where?", "input": "", "response": "There."}, "alpaca", [Q, A], set()),
    "axolotl oasst": ({"INSTRUCTION": "Where?", "RESPONSE": "There."}, "alpaca", [Q, A], set()),
    "firefly": ({"kind": "NLI", "input": "Where?", "target": "There."}, "alpaca", [Q, A], {"unknown_field"}),
    "belle": ({"instruction": "Where?", "input": "", "output": "There."}, "alpaca", [Q, A], set()),
    "context_qa": (
        {"article": "Here?", "question": "Where?", "answer": "There."},
        *("question_answer", [("user", "Here?\n\nWhere?"), A], set()),
    ),
    "squad": (
        {
            "id": "1",
            "title": "x",
            "context": "Here?",
            "question": "Where?",
            "answers": {"text": ["There.", "There"], "answer_start": [1, 1]},
        },
        *("question_answer", [("user", "Here?\n\nWhere?"), A], {"unknown_field", "first_answer_taken"}),
    ),
    "passages": (
        {"context": ["One.", "Two."], "question": "Where?", "answer": "There."},
        *("question_answer", [("user", "One.\n\nTwo.\n\nWhere?"), A], {"content_parts_joined"}),
    ),
    "LLaMA-Factory names": (
        {"prompt": "Where?", "query": "Here?", "response": "There."},
        *("prompt_completion", [("user", "Where?\n\nHere?"), A], set()),
    ),
    "MetaMath": ({"query": "Where?", "response": "There.", "type": "GSM"}, "alpaca", [Q, A], {"unknown_field"}),
    "aya": ({"inputs": "Where?", "targets": "There.", "language": "x"}, "alpaca", [Q, A], {"unknown_field"}),
    # prompt_completion
    "prompt, completion": ({"prompt": "Where?", "completion": "There."}, "prompt_completion", [Q, A], set()),
    "prompt, response": ({"prompt": "Where?", "response": "There."}, "prompt_completion", [Q, A], set()),
    "input, output": ({"input": "Where?", "output": "There."}, "prompt_completion", [Q, A], set()),
    "input_text": ({"input_text": "Where?", "output_text": "There."}, "prompt_completion", [Q, A], set()),
    "trl": ({"prompt": OPENAI[:1], "completion": OPENAI[1:]}, "prompt_completion", [Q, A], set()),
    "trl in csv": (
        {"prompt": json.dumps(OPENAI[:1]), "completion": json.dumps(OPENAI[1:])},
        *("prompt_completion", [Q, A], set()),
    ),
    "openai evals": ({"input": OPENAI[:1], "ideal": "There."}, "prompt_completion", [Q, A], set()),
    "camel": ({"message_1": "Where?", "message_2": "There."}, "prompt_completion", [Q, A], set()),
    "text of a list": (
        {"prompt": "Where?", "completion": '[{"role": "x"}]'},
        *("prompt_completion", [Q, ("assistant", '[{"role": "x"}]')], set()),
    ),
    # question_answer
    "gsm8k": ({"question": "Where?", "answer": "There."}, "question_answer", [Q, A], set()),
    "orca-math": ({"Question": "Where?", " ANSWER": "There."}, "question_answer", [Q, A], set()),
    "q, a": ({"q": "Where?", "a": "There."}, "question_answer", [Q, A], set()),
    "query, answer": ({"query": "Where?", "answer": "There."}, "question_answer", [Q, A], set()),
    "numina": ({"problem": "Where?", "solution": "There."}, "question_answer", [Q, A], set()),
    "number": ({"question": "Where?", "answer": 42}, "question_answer", [Q, ("assistant", "42")], {"number_as_text"}),
    "number in a column with gaps": (
        {"question": "Where?", "answer": 42.0},
        *("question_answer", [Q, ("assistant", "42")], {"number_as_text"}),
    ),
    "fraction": (
        {"question": "Where?", "answer": 4.25},
        "question_answer",
        [Q, ("assistant", "4.25")],
        {"number_as_text"},
    ),
    "nq_open": ({"question": "Where?", "answer": ["There.", "x"]}, "question_answer", [Q, A], {"first_answer_taken"}),
    "triviaqa": (
        {"question": "Where?", "answer": {"value": "There.", "aliases": ["x"]}},
        *("question_answer", [Q, A], {"first_answer_taken"}),
    ),
    # columns
    "columns": ({"system": "Be kind.", "user": "Where?", "assistant": "There."}, "columns", [S, Q, A], set()),
    "human and ai": ({"human": "Where?", "ai": "There."}, "columns", [Q, A], set()),
    "user_message": ({"user_message": "Where?", "bot_message": "There."}, "columns", [Q, A], set()),
    "camel case": ({"userMessage": "Where?", "Bot Message": "There."}, "columns", [Q, A], set()),
    "support desk": ({"customer": "Where?", "agent": "There."}, "columns", [Q, A], set()),
}


def _read(layout, row):
    notes: list[str] = []
    read = layout.read(row, notes.append)
    return [(message.role, message.content) for message in read.messages], set(notes)


@pytest.mark.parametrize("case", ROWS)
def test_row_is_detected_and_read(case):
    row, name, conversation, notes = ROWS[case]

    layout = layouts.detect([row])

    assert layout is not None
    assert (layout.name, layouts.unsupported([row])) == (name, None)
    assert _read(layout, row) == (conversation, notes)


@pytest.mark.parametrize("case", ROWS)
def test_layout_can_be_forced_instead(case):
    row, name, conversation, notes = ROWS[case]

    assert _read(layouts.chosen(name, {}), row) == (conversation, notes)


def test_every_layout_has_an_example():
    assert {name for _, name, _, _ in ROWS.values()} == set(layouts.NAMES)


def test_given_prompt_and_its_id_come_along():
    row = {"prompt": "Something else", "prompt_id": "7", "messages": OPENAI}

    read = layouts.detect([row]).read(row, [].append)

    assert (read.prompt, read.prompt_id) == ("Something else", "7")


@pytest.mark.parametrize(
    ("role", "meant"),
    [
        *((role, "user") for role in ("Human", " user ", "PROMPTER", "customer")),
        *((role, "assistant") for role in ("AI", "bot", "model", "gpt", "ChatGPT", "gpt-4", "Chatbot", "claude")),
        *((role, "system") for role in ("developer", "System", "SYS")),
    ],
)
def test_spelling_of_a_role_is_read_and_noted(role, meant):
    conversation, notes = _read(layouts.chosen("openai", {}), {"messages": [{"role": role, "content": "x"}]})

    assert conversation == [(meant, "x")]
    assert notes == {"role_spelling"}


def test_exact_name_wins_over_another_case():
    row = {"Question": "No", "question": "Where?", "answer": "There."}

    assert _read(layouts.detect([row]), row) == ([Q, A], {"unknown_field"})


def test_names_that_differ_in_case_only_are_not_guessed():
    assert layouts.detect([{"Question": "One", "QUESTION": "Two", "answer": "x"}]) is None
