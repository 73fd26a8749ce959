"""Every reason a row is left out for, and every note, by an example."""

from __future__ import annotations

import json

import pytest

from shared.dataset.reasons import NOTES, REJECTED


def _messages(*turns, **fields):
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns], **fields}).encode()


USER, ANSWER = ("user", "Where?"), ("assistant", "There.")
PLAIN = b'{"role":"user","content":"Where?"}'

REJECTED_LINES = {
    "invalid_json": [
        b"not json",
        b'{"messages":[',
        b'{"messages":NaN}',
        b"{'messages': []}",
        b'{"messages":[]} trailing',
        b'{"messages":[' + PLAIN + b',{"role":"assistant","content":"a\x01b"}]}',
    ],
    "invalid_utf8": [
        b'{"messages":[{"role":"user","content":"\xff\xfe"}]}',
        b'{"messages":[' + PLAIN + b',{"role":"assistant","content":"x"}],"extra":"\xc0\xaf"}',
    ],
    "lone_surrogate": [
        b'{"messages":[' + PLAIN + rb',{"role":"assistant","content":"\ud800"}]}',
        b'{"messages":[' + PLAIN + rb',{"role":"assistant","content":"\udc00 x"}]}',
    ],
    "nested_too_deeply": [b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b'{"a":' * 20_000 + b"1" + b"}" * 20_000],
    "number_too_large": [b'{"messages":[],"n":' + b"1" * 5_000 + b"}"],
    "duplicate_key": [
        b'{"messages":[],"messages":[' + PLAIN + b',{"role":"assistant","content":"x"}]}',
        b'{"messages":[' + PLAIN + b',{"role":"user","role":"assistant","content":"x"}]}',
        b'{"messages": [' + PLAIN + b', {"role": "assistant", "content": "x", "content": "y"}]}',
        b'{"id":1,"id":2,"messages":[' + PLAIN + b',{"role":"assistant","content":"x"}]}',
    ],
    "not_an_object": [b"[]", b"1", b'"text"', b"null", b'[{"role":"user","content":"x"}]'],
    "missing_messages": [b"{}", b'{"messages":null}', b'{"messages":"text"}', b'{"messages":{"role":"user"}}'],
    "layout_differs": [b'{"conversations":[{"from":"human","value":"x"}]}', b'{"instruction":"x","output":"y"}'],
    "no_messages": [b'{"messages":[]}'],
    "message_not_an_object": [b'{"messages":["hello","hi"]}', b'{"messages":[' + PLAIN + b",null]}"],
    "missing_role": [b'{"messages":[{"content":"x"}]}', b'{"messages":[{"role":null,"content":"x"}]}'],
    "unknown_role": [
        _messages(("narrator", "x"), ANSWER),
        b'{"messages":[{"role":1,"content":"x"}]}',
        _messages(("", "x")),
    ],
    "missing_content": [b'{"messages":[{"role":"user"}]}', b'{"messages":[{"role":"user","content":null}]}'],
    "content_not_text": [
        b'{"messages":[{"role":"user","content":1}]}',
        b'{"messages":[{"role":"user","content":{"text":"x"}}]}',
        b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}',
    ],
    "tool_calls": [
        _messages(USER, ("tool", "42"), ANSWER),
        _messages(USER, ("function", "42"), ANSWER),
        b'{"messages":[' + PLAIN + b',{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]}',
        b'{"messages":[' + PLAIN + b',{"role":"assistant","content":null,"function_call":{"name":"f"}}]}',
    ],
    "system_not_first": [_messages(USER, ("system", "Be kind."), ANSWER), _messages(("system", "a"), ("system", "b"))],
    "starts_with_assistant": [_messages(ANSWER, USER, ANSWER), _messages(("system", "a"), ANSWER)],
    "roles_do_not_alternate": [_messages(USER, ANSWER, ANSWER), _messages(USER, USER, ANSWER)],
    "no_assistant_turn": [_messages(USER), _messages(("system", "a"), USER), _messages(("system", "a"))],
    "blank_turn": [_messages(USER, ("assistant", "")), _messages(("user", " \n\t\u3000"), ANSWER)],
    "control_character": [
        _messages(USER, ("assistant", "a\x00b")),
        _messages(("user", "\x1b[31mred"), ANSWER),
        _messages(USER, ("assistant", "a\bc")),
        json.dumps({"messages": [json.loads(PLAIN), {"role": "assistant", "content": "\x7f"}]}).encode(),
    ],
    "too_long": [_messages(USER, ("assistant", "x" * 2_000))],
    "messages_unreadable": [b'{"messages":"[{"}', rb"""{"messages":"[{'role': 'user'"}"""],
    "two_system_prompts": [_messages(("system", "Be kind."), USER, ANSWER, system="Be brief.")],
    "media": [_messages(("user", "<image>\nWhat is this?"), ANSWER, images=["a.png"])],
    "nothing_to_train": [b'{"messages":[' + PLAIN + b',{"role":"assistant","content":"x","weight":0}]}'],
}

NOTED_LINES = {
    "trailing_user_cut": _messages(USER, ANSWER, ("user", "And then?")),
    "role_spelling": _messages(("developer", "Be kind."), ("User", "Where?"), (" assistant", "There.")),
    "python_list": json.dumps(
        {"messages": str([{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}])}
    ).encode(),
    "content_parts_joined": _messages(
        ("user", [{"type": "text", "text": "Wh"}, {"type": "text", "text": "ere?"}]), ANSWER
    ),
    "name_dropped": (
        b'{"messages":[{"role":"user","content":"Where?","name":"a"},{"role":"assistant","content":"There."}]}'
    ),
    "weight_ignored": b'{"messages":[' + PLAIN + b',{"role":"assistant","content":"There.","weight":1}]}',
    "weight_zero_ignored": (
        b'{"messages":[' + PLAIN + b',{"role":"assistant","content":"There.","weight":0},'
        b'{"role":"user","content":"Then?"},{"role":"assistant","content":"So.","weight":1}]}'
    ),
    "tools_dropped": _messages(USER, ANSWER, tools=[{"type": "function"}]),
    "unknown_field": _messages(USER, ANSWER, source="web"),
    "prompt_replaced": _messages(USER, ANSWER, prompt="Something else"),
    "prompt_missing": _messages(USER, ANSWER, prompt_id="1"),
    "prompt_id_replaced": _messages(USER, ANSWER, prompt="Where?", prompt_id=7),
}

# Of layouts without messages, of tables, test files and options: examples are in the tests of those.
OTHER_REASONS = {
    "missing_conversation",
    "missing_prompt",
    "missing_answer",
    "history_not_turns",
    "pair_incomplete",
    "malformed_record",
    "field_count",
    "prompt_in_test",
    "email_address",
    "secret",
    "unknown_layout",
    "too_many_values",
}
OTHER_NOTES = {"number_as_text", "first_answer_taken", "no_input_dropped", "column_missing", "blank_turn_removed"}


def test_every_reason_has_an_example():
    assert REJECTED_LINES.keys() | OTHER_REASONS == REJECTED.keys()


def test_every_note_has_an_example():
    assert NOTED_LINES.keys() | OTHER_NOTES | {"bom_removed", "blank_line"} == NOTES.keys()


@pytest.mark.parametrize(("reason", "line"), [(r, line) for r, lines in REJECTED_LINES.items() for line in lines])
def test_bad_row_is_counted_with_its_line_and_the_others_are_kept(reason, line, prepared, chat, jsonl):
    good = [chat(f"question {i}", "answer") for i in range(4)]

    found = prepared(jsonl(good[:2]) + line + b"\n" + jsonl(good[2:]), max_characters=1_000)

    assert found.reasons == {reason: 1}
    assert found.report.rejected_by_reason[reason].first_lines == [3]
    assert (found.report.rows_read, found.report.rows_kept) == (5, 4)
    assert sorted(row["prompt"] for row in found.rows) == [f"question {i}" for i in range(4)]


@pytest.mark.parametrize(("note", "line"), NOTED_LINES.items())
def test_mended_row_is_kept_and_noted(note, line, prepared, chat, jsonl):
    wants_prompt = {"prompt": "question", "prompt_id": "x"} if note.startswith("prompt_") else {}
    found = prepared(jsonl([chat("question", "answer", **wants_prompt)]) + line + b"\n")

    assert found.notes.get(note) == 1
    assert found.report.notes[note].first_lines == [2]
    mended = next(row for row in found.rows if row["prompt"] == "Where?")
    first_two = [m for m in mended["messages"] if m["role"] != "system"][:2]
    assert first_two == [{"content": "Where?", "role": "user"}, {"content": "There.", "role": "assistant"}]


def test_cut_user_turn_is_gone_from_the_output(prepared, chat, jsonl):
    found = prepared(jsonl([chat("a", "b", "c"), chat("d", "e")]))

    assert [len(row["messages"]) for row in found.rows] == [2, 2]


def test_white_space_controls_are_text(prepared, chat, jsonl):
    found = prepared(jsonl([chat("tab\tnew\nline\r", "form\ffeed"), chat("path", "C:\\\\bin \\u0000")]))

    assert found.report.rows_kept == 2


def test_text_that_looks_like_keys_is_no_duplicate_key(prepared, chat, jsonl):
    rows = [chat('{"role": "role"}', '"messages":[] "content":"content":'), chat("role", "content")]
    escaped = b"".join(json.dumps(row).encode() + b"\n" for row in [*rows, chat("é", '"role": é')])

    assert prepared(escaped).report.rows_kept == 3


def test_first_lines_are_capped(prepared, chat, jsonl):
    found = prepared(jsonl([chat("a", "b"), chat("c", "d")]) + b"nonsense\n" * 50)

    assert found.reasons == {"invalid_json": 50}
    assert found.report.rejected_by_reason["invalid_json"].first_lines == list(range(3, 13))
