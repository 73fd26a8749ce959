"""Rows to batches, and batches to parts that fit the memory."""

import random
from collections.abc import Iterator
from typing import Any

from local.training.preprocess import NOT_LEARNT, Row

# Padded tokens computed at once. A batch of any size is computed in parts of this, their gradients summed: same result.
TRAIN_TOKENS = 384
EVAL_TOKENS = 2048
_BUCKET_BATCHES = 8


def epoch_batches(rows: list[Row], size: int, rng: random.Random) -> list[list[Row]]:
    """Shuffle rows into batches; rows of a batch have similar lengths, as padding is wasted work."""
    shuffled = rng.sample(rows, len(rows))
    bucket = size * _BUCKET_BATCHES
    batches = []
    for start in range(0, len(shuffled), bucket):
        alike = sorted(shuffled[start : start + bucket], key=lambda row: len(row.ids))
        batches += [alike[i : i + size] for i in range(0, len(alike), size)]
    rng.shuffle(batches)
    return batches


def shares(rows: list[Row], count: int) -> list[list[Row]]:
    """Deal the rows of a batch to at most `count` hands, of about the same number of tokens each."""
    longest_first = sorted(rows, key=lambda row: -len(row.ids))
    hands: list[list[Row]] = [[] for _ in range(min(count, len(rows)))]
    for row in longest_first:
        min(hands, key=lambda hand: sum(len(other.ids) for other in hand)).append(row)
    return hands


def parts(rows: list[Row], tokens: int) -> Iterator[list[Row]]:
    """Cut a batch into parts of at most `tokens` padded tokens each, or of one row where a row is longer."""
    part: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if part and len(row.ids) * (len(part) + 1) > tokens:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def tensors(rows: list[Row], pad: int) -> tuple[Any, Any, Any]:
    """Return ids, attention mask and labels, padded on the right."""
    import torch

    width = max(len(row.ids) for row in rows)
    fill = [width - len(row.ids) for row in rows]
    ids = torch.tensor([row.ids + [pad] * n for row, n in zip(rows, fill, strict=True)])
    mask = torch.tensor([[1] * len(row.ids) + [0] * n for row, n in zip(rows, fill, strict=True)])
    labels = torch.tensor([row.labels + [NOT_LEARNT] * n for row, n in zip(rows, fill, strict=True)])
    return ids, mask, labels
