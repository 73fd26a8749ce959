"""Step chat_completion_datapreprocess: conversations to token ids, the assistant's own words marked to be learnt."""

import random
from dataclasses import dataclass
from typing import Any

from local.training.errors import UserInputError
from local.training.progress import log
from local.training.validation import Messages

# Longer rows would need more memory than a small machine has (measured: 2.3 GB at this length).
LONGEST_ROW = 512
_VALIDATION_SHARE = 0.1
NOT_LEARNT = -100


@dataclass(frozen=True)
class Row:
    """One conversation. `labels[i]` is `ids[i]` where the assistant speaks, else NOT_LEARNT."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class TokenizedData:
    train: list[Row]
    validation: list[Row]


def load_tokenizer(folder: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def preprocess(
    tokenizer: Any, train: list[Messages], validation: list[Messages] | None, max_seq_length: int, seed: int
) -> TokenizedData:
    """Tokenize with the model's chat template.

    Without validation rows a tenth of the training rows is set aside for them, as the component does.
    Raises: UserInputError: nothing to learn remains.
    """
    longest = LONGEST_ROW if max_seq_length == -1 else min(max_seq_length, LONGEST_ROW)
    if longest != max_seq_length:
        log.info("max_seq_length=%d: rows are cut at %d tokens on this machine", max_seq_length, longest)
    if validation is None:
        train, validation = split_off(train, seed)
    data = TokenizedData(
        _tokenize(tokenizer, train, longest, "train"), _tokenize(tokenizer, validation, longest, "validation")
    )
    if not data.train:
        raise UserInputError(
            f"train_file_path: no answer of the assistant remains within {longest} tokens: there is nothing to learn."
        )
    return data


def split_off(rows: list[Messages], seed: int) -> tuple[list[Messages], list[Messages]]:
    """Set a tenth of the rows aside (at least one, but never the only one). The same rows for the same seed."""
    count = min(max(1, int(len(rows) * _VALIDATION_SHARE)), len(rows) - 1)
    aside = set(random.Random(seed).sample(range(len(rows)), count))
    log.info("validation_file_path is not set: %d of %d training rows are kept for validation", count, len(rows))
    return [row for i, row in enumerate(rows) if i not in aside], [rows[i] for i in sorted(aside)]


def _tokenize(tokenizer: Any, conversations: list[Messages], longest: int, name: str) -> list[Row]:
    rows = [tokenize(tokenizer, messages) for messages in conversations]
    cut = [Row(row.ids[:longest], row.labels[:longest]) for row in rows]
    kept = [row for row in cut if any(label != NOT_LEARNT for label in row.labels[1:])]
    tokens = sum(len(row.ids) for row in kept)
    learnt = sum(label != NOT_LEARNT for row in kept for label in row.labels)
    log.info(
        "%s: %d rows, %d tokens, %d of them to be learnt, longest %d; %d rows cut, %d dropped as no answer remained",
        name, len(kept), tokens, learnt, max((len(row.ids) for row in kept), default=0),
        sum(len(row.ids) > longest for row in rows), len(rows) - len(kept),
    )  # fmt: skip
    return kept


def tokenize(tokenizer: Any, messages: Messages) -> Row:
    """Tokenize one conversation; what follows each "assistant" header is learnt, to the token that ends the turn."""
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spoken = _assistant_spans(tokenizer, messages, text)
    labels = [
        token if any(start <= begin and end <= stop for start, stop in spoken) else NOT_LEARNT
        for token, (begin, end) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return Row(encoded["input_ids"], labels)


def _assistant_spans(tokenizer: Any, messages: Messages, text: str) -> list[tuple[int, int]]:
    """Return the characters of `text` in which the assistant speaks.

    A first message of the assistant answers nothing, and is not learnt.
    Raises: UserInputError: the template rewrites earlier turns, so that a turn cannot be found in the whole.
    """
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or index == 0:
            continue
        before = tokenizer.apply_chat_template(messages[:index], tokenize=False, add_generation_prompt=True)
        through = tokenizer.apply_chat_template(messages[: index + 1], tokenize=False)
        if not (through.startswith(before) and text.startswith(through)):
            raise UserInputError(
                "The model's chat template rewrites earlier turns: the assistant's words cannot be told apart."
            )
        spans.append((len(before), len(through.rstrip())))
    return spans
