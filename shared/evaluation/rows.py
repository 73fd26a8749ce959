"""The held-out rows, and their tokens: which of them the assistant speaks."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.evaluation import MOST_ROWS

LONGEST = 2048
"""Tokens at which a row is cut."""

FIRST = 20
"""Rows at the beginning of test.jsonl: from there a new deployment is asked before it gets any traffic."""

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class TestRows:
    """What is looked at of test.jsonl, in the file's order; sha256 and rows_test are of all of it.

    rows: to measure models on. first: the first `FIRST` of the file.
    """

    sha256: str
    rows_test: int
    rows: list[HeldOut]
    first: list[HeldOut]


@dataclass(frozen=True)
class HeldOut:
    """One conversation whose last turn is the true answer."""

    prompt_id: str
    messages: Messages


@dataclass(frozen=True)
class Tokens:
    """One conversation for one model. spoken[i]: the assistant says ids[i]. characters: of what it says."""

    ids: list[int]
    spoken: list[bool]
    characters: int


def read_test_set(file: Path, most: int = MOST_ROWS) -> TestRows:
    """Read the rows to look at. Which they are is a function of the file: the lowest hashes of the prompts' ids."""
    digest, count, first = hashlib.sha256(), 0, list[HeldOut]()

    def candidates() -> Iterator[tuple[str, int, bytes]]:
        nonlocal count
        with file.open("rb") as lines:
            for number, line in enumerate(lines):
                digest.update(line)
                if line.strip():
                    count += 1
                    row = _row(line)
                    if len(first) < FIRST:
                        first.append(row)
                    yield hashlib.sha256(row.prompt_id.encode()).hexdigest(), number, line

    chosen = sorted(heapq.nsmallest(most, candidates()), key=lambda candidate: candidate[1])
    return TestRows(digest.hexdigest(), count, [_row(line) for *_, line in chosen], first)


def _row(line: bytes) -> HeldOut:
    row = json.loads(line)
    return HeldOut(str(row["prompt_id"]), row["messages"])


def prompt_tokens(tokenizer: Any, rows: Iterable[HeldOut]) -> dict[str, int]:
    """Count the tokens of each row's question, as the model's own chat template puts it, by prompt id.

    Returns: those that the template can write.
    """
    found = {}
    for row in rows:
        try:
            text = tokenizer.apply_chat_template(row.messages[:-1], tokenize=False, add_generation_prompt=True)
        except Exception:  # noqa: BLE001, S112 - a template raises what it likes, and may quote the text
            continue
        found[row.prompt_id] = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return found


def tokenize(tokenizer: Any, messages: Messages) -> Tokens | None:
    """Turn a conversation into tokens with the model's own chat template.

    What the assistant speaks goes from the end of its header to the token that ends its turn.
    Returns: None when the template cannot write this conversation, or nothing of the assistant is within `LONGEST`.
    """
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        spans = _spoken(tokenizer, messages, text)
    except Exception:  # noqa: BLE001 - a template raises what it likes, and its message may quote the conversation
        return None
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"][:LONGEST]
    spoken = [any(begin <= a and b <= end for begin, end, _ in spans) for a, b in offsets]
    if not any(spoken[1:]):
        return None
    reached = offsets[-1][1]
    characters = sum(max(0, min(reached, begin + length) - begin) for begin, _, length in spans)
    return Tokens(list(encoded["input_ids"][:LONGEST]), spoken, characters)


def _spoken(tokenizer: Any, messages: Messages, text: str) -> list[tuple[int, int, int]]:
    """Return (begin, end, characters of the message) of the assistant's turns in a conversation's text.

    Where a template rewrites earlier turns, only the last one can be found. Raises: ValueError: not even that.
    """
    found = []
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant" and i > 0]
    for i in turns:
        before = tokenizer.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True)
        through = tokenizer.apply_chat_template(messages[: i + 1], tokenize=False) if i < len(messages) - 1 else text
        if through.startswith(before) and text.startswith(through.rstrip()):
            found.append((len(before), len(through.rstrip()), len(messages[i]["content"])))
        elif i == turns[-1]:
            raise ValueError("the last turn cannot be found")
    return found


def tokenization(rows: list[Tokens | None]) -> str:
    """Return a hash that two models have in common if they see the same tokens in all rows."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.ids, row.spoken] if row else None).encode())
    return digest.hexdigest()[:16]
