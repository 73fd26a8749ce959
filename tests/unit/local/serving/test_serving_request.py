import json
from typing import Any

import pytest

from local.serving.request import BadRequestError, Parameters, parse_request

HELLO = [{"role": "user", "content": "Hello"}]


def request(given: Any = HELLO, parameters: Any = None) -> str:
    return json.dumps({"input_data": {"input_string": given, "parameters": parameters}, "params": {}})


def test_one_conversation() -> None:
    parsed = parse_request(request())
    assert (parsed.conversations, parsed.many, parsed.parameters) == ([HELLO], False, Parameters())


def test_list_of_conversations() -> None:
    parsed = parse_request(request([HELLO, HELLO]))
    assert (len(parsed.conversations), parsed.many) == (2, True)


def test_unknown_parameters_are_named_and_left_out() -> None:
    parsed = parse_request(request(parameters={"max_new_tokens": 5, "best_of": 2, "stop": ["x"]}))
    assert parsed.ignored == ["best_of", "stop"]
    assert parsed.parameters == Parameters(max_new_tokens=5)


def test_unasked_fields_of_a_message_do_not_reach_the_template() -> None:
    assert parse_request(request([{**HELLO[0], "name": "x"}])).conversations == [HELLO]


@pytest.mark.parametrize(
    "parameters",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": 5000},
        {"max_new_tokens": True},
        {"max_new_tokens": 1.5},
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"do_sample": "yes"},
        [],
    ],
)
def test_parameters_that_cannot_be_used_are_refused(parameters: Any) -> None:
    with pytest.raises(BadRequestError, match=r"^input_data\.parameters"):
        parse_request(request(parameters=parameters))


@pytest.mark.parametrize("body", ["", "[]", "null", '"x"', "[" * 100_000, '{"input_data": {"input_string": [[]]}}'])
def test_body_of_another_shape_is_refused(body: str) -> None:
    with pytest.raises(BadRequestError):
        parse_request(body)


def test_too_many_conversations_are_refused() -> None:
    with pytest.raises(BadRequestError, match="at most 32"):
        parse_request(request([HELLO] * 33))
