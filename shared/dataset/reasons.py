"""The codes a report counts, each with the words a person reads."""

from __future__ import annotations

# Why a row was left out.
REJECTED: dict[str, str] = {
    "invalid_json": "the line is not valid JSON",
    "invalid_utf8": "the line is not valid UTF-8",
    "lone_surrogate": "a \\u escape is half of a surrogate pair",
    "nested_too_deeply": "the JSON is nested too deeply",
    "number_too_large": "a number is too large to read",
    "too_many_values": "the row holds more than 1,000,000 values",
    "duplicate_key": "an object names the same key twice",
    "not_an_object": "the line is JSON, but not an object",
    "missing_messages": "there is no list called messages",
    "missing_conversation": "there is no list of turns (such as conversations)",
    "missing_prompt": "there is no question (such as instruction, prompt or user)",
    "missing_answer": "there is no answer (such as output, completion or assistant)",
    "messages_unreadable": "the messages are a text that is a list neither in JSON nor in Python",
    "history_not_turns": "the history is not a list of earlier turns",
    "pair_incomplete": "a pair of question and answer does not hold exactly those two",
    "layout_differs": "the row is in another layout than the file's first rows",
    "unknown_layout": "the row is in no known layout",
    "no_messages": "the list of messages is empty",
    "message_not_an_object": "a message is not an object",
    "missing_role": "a message has no role",
    "unknown_role": "a role is not one of system, user, assistant",
    "missing_content": "a message has no content",
    "content_not_text": "a message's content is not text",
    "tool_calls": "the conversation calls tools, which this fine-tuning cannot learn",
    "media": "the conversation is about pictures, sound or video, which this fine-tuning cannot learn",
    "two_system_prompts": "the row has a system prompt of its own and another one in its messages",
    "system_not_first": "a system message is not the first one",
    "starts_with_assistant": "the conversation starts with the assistant",
    "roles_do_not_alternate": "user and assistant do not take turns",
    "no_assistant_turn": "the assistant never answers",
    "blank_turn": "a message is blank",
    "control_character": "a message holds a control character",
    "too_long": "the conversation is longer than max_characters",
    "email_address": "the conversation holds an e-mail address (drop: email_addresses)",
    "secret": "the conversation holds what looks like a key, a token or a password (drop: secrets)",
    "prompt_in_test": "the first user message is in the test file too",
    "malformed_record": "the quotes of the record are not closed or not doubled",
    "field_count": "the record has more or fewer fields than the first line names columns",
    "nothing_to_train": "every assistant message has weight 0",
}

# What was changed or overlooked in rows that were read.
NOTES: dict[str, str] = {
    "bom_removed": "a byte order mark at the start of the file was removed",
    "blank_line": "blank lines were skipped",
    "trailing_user_cut": "a last user message without an answer was cut off",
    "blank_turn_removed": "a blank message was removed, with the question or answer it belongs to",
    "role_spelling": "a role was written in another spelling (capitals, spaces, another word)",
    "python_list": "a list written as Python prints it (pandas does so in CSV files) was read",
    "number_as_text": "a number in the place of a text was kept as its digits",
    "first_answer_taken": "of several answers (or an answer with details) the first text was taken",
    "no_input_dropped": "an input that only says there is none was left out",
    "column_missing": "a row has not got an optional column that was mapped",
    "content_parts_joined": "a content given as a list of text parts was joined",
    "name_dropped": "a message's name was dropped",
    "weight_ignored": "a message's weight was ignored",
    "weight_zero_ignored": "an assistant message with weight 0 will be trained on like the others",
    "tools_dropped": "tool definitions were dropped from a conversation that calls none",
    "unknown_field": "fields that are not part of the layout were not copied",
    "prompt_replaced": "a given prompt was not the first user message, which was taken instead",
    "prompt_missing": "a row without a prompt was given its first user message",
    "prompt_id_replaced": "a prompt_id that is not a short text was replaced",
}

# Notes that say a row was mended, so that a person may want to look at what came of it.
MENDED = frozenset({"trailing_user_cut", "role_spelling", "blank_turn_removed"})
