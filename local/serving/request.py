"""Azure's request to a chat-completion model, and what may be asked of it. Knows no model and no server."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.training.validation import ROLES, Messages

SHAPE = '{"input_data": {"input_string": [{"role": "user", "content": "..."}], "parameters": {"max_new_tokens": 100}}}'
DEFAULT_NEW_TOKENS = 256
MOST_NEW_TOKENS = 1024
MOST_CONVERSATIONS = 32


class BadRequestError(Exception):
    """The request cannot be answered; the message tells the caller what is wrong with it."""


@dataclass(frozen=True)
class Parameters:
    max_new_tokens: int = DEFAULT_NEW_TOKENS
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    return_full_text: bool = False


@dataclass(frozen=True)
class ChatRequest:
    conversations: list[Messages]
    many: bool  # whether the caller sent a list of conversations, and is answered with a list
    parameters: Parameters
    ignored: list[str] = field(default_factory=list)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# name -> (whether the value will do, what would do)
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_new_tokens": (
        lambda v: _whole(v) and 1 <= v <= MOST_NEW_TOKENS,
        f"a whole number from 1 to {MOST_NEW_TOKENS}",
    ),
    "do_sample": (lambda v: isinstance(v, bool), "true or false"),
    "temperature": (lambda v: _number(v) and 0 <= v <= 10, "a number from 0 to 10"),
    "top_p": (lambda v: _number(v) and 0 < v <= 1, "a number above 0, at most 1"),
    "top_k": (lambda v: _whole(v) and 0 <= v <= 100_000, "a whole number from 0"),
    "repetition_penalty": (lambda v: _number(v) and 0 < v <= 10, "a number above 0, at most 10"),
    "return_full_text": (lambda v: isinstance(v, bool), "true or false"),
}


def parse_request(body: str | bytes) -> ChatRequest:
    """Read {"input_data": {"input_string": [...], "parameters": {...}}, "params": {}}.

    `input_string` is one conversation or a list of them. Unknown parameters are ignored, as Azure's score script does.
    Raises: BadRequestError: with a sentence for the caller.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The body is not JSON. Expected: {SHAPE}") from error
    data = document.get("input_data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise BadRequestError(f"input_data is missing or not an object. Expected: {SHAPE}")
    if not isinstance(document.get("params", {}), dict | None):
        raise BadRequestError("params is not an object.")
    given = data.get("input_string")
    if not isinstance(given, list) or not given:
        raise BadRequestError(f"input_data.input_string is missing, empty or not a list. Expected: {SHAPE}")
    many = isinstance(given[0], list)
    if many and len(given) > MOST_CONVERSATIONS:
        raise BadRequestError(f"{len(given)} conversations in one request; at most {MOST_CONVERSATIONS} are answered.")
    conversations = [_conversation(messages) for messages in (given if many else [given])]
    parameters, ignored = _parameters(data.get("parameters"))
    return ChatRequest(conversations, many, parameters, ignored)


def _conversation(messages: Any) -> Messages:
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("input_data.input_string holds a conversation that is empty or not a list of messages.")
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise BadRequestError(f"message {number} is not an object with role and content, both text.")
        if message.get("role") not in ROLES:
            raise BadRequestError(f"message {number}: role {message.get('role')!r} is not one of {', '.join(ROLES)}.")
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _parameters(given: Any) -> tuple[Parameters, list[str]]:
    if given is None:
        return Parameters(), []
    if not isinstance(given, dict):
        raise BadRequestError("input_data.parameters is not an object.")
    known = {name: value for name, value in given.items() if name in _RULES and value is not None}
    faults = [
        f"{name} is {value!r}, expected {_RULES[name][1]}"
        for name, value in known.items()
        if not _RULES[name][0](value)
    ]
    if faults:
        raise BadRequestError("input_data.parameters: " + "; ".join(faults) + ".")
    return Parameters(**known), sorted(str(name) for name in given if name not in _RULES)
