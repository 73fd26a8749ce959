"""What the kept rows mean in training: an estimate as values. `shared.costs` makes it, the page shows it."""

from __future__ import annotations

import msgspec


class Range(msgspec.Struct, frozen=True):
    """From `low` to `high`, both included."""

    low: float
    high: float


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate of the training that a dataset would get.

    tokens: of one pass over the training rows, cut at the longest sequence; tokens_cut: what that takes away.
    tokens_computed: of all passes, with padding. steps: optimizer steps. training_hours: the passes alone; hours: with
    what the machine does before and after. gpu_hours: hours times GPUs. None: not known; the notes say why.
    price_usd: hours times nodes times usd_per_hour. assumptions, notes: sentences.
    """

    foundation_model: str
    instance_type: str
    gpu: str
    gpus: int
    nodes: int
    lora: bool
    epochs: float
    train_rows: int
    tokens: int
    tokens_cut: int
    tokens_computed: int
    steps: int
    steps_per_epoch: int
    training_hours: Range | None
    hours: Range | None
    gpu_hours: Range | None
    usd_per_hour: float | None
    price_usd: Range | None
    price_region: str
    price_as_of: str
    assumptions: list[str]
    notes: list[str]
