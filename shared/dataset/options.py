"""What a caller may choose about the preparation of a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from shared.dataset.errors import PrepareOptionsError
from shared.dataset.sensitive import KINDS

MIB = 1024 * 1024


class PrepareOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a dataset to keep, and how to split it.

    sample_percent: share of the prompts kept, above 0 up to 100. test_fraction: share of the prompts held out, from 0
    (no test set at all) to below 1. seed: another seed draws another sample and another split. min_rows: kept rows
    below which the dataset is rejected. max_line_bytes: a longer line ends the reading. max_characters: a longer
    conversation is rejected.

    layout: the file's layout, when it is not to be found out. columns: which field holds what, such as
    {"user": "question", "assistant": "reply"}. drop: what to leave out, of email_addresses and secrets.
    context_window: tokens; longer conversations are counted. tokenizer: path of a tokenizer.json to count tokens with.
    repair: keep rows from which blank messages can be taken out.
    max_expansion, max_unpacked_bytes: how many times its size, and how many bytes, a packed file may unpack to.

    Raises: PrepareOptionsError: values out of range, all of them named.
    """

    sample_percent: float = 100.0
    test_fraction: float = 0.05
    seed: int = 0
    min_rows: int = 2
    max_line_bytes: int = 16 * MIB
    max_characters: int = 1_000_000
    layout: str | None = None
    columns: dict[str, str] = {}
    drop: list[str] = []
    context_window: int | None = None
    tokenizer: str | None = None
    repair: bool = False
    max_expansion: float = 200.0
    max_unpacked_bytes: int = 1024 * 1024 * MIB

    def __post_init__(self) -> None:
        faults = [fault for fault in self._faults() if fault]
        if faults:
            raise PrepareOptionsError("; ".join(faults))

    def _faults(self) -> list[str | None]:
        return [
            _number("sample_percent", self.sample_percent, lambda v: 0 < v <= 100, "above 0 and at most 100"),
            _number("test_fraction", self.test_fraction, lambda v: 0 <= v < 1, "at least 0 and below 1"),
            _whole("seed", self.seed, -(2**63), 2**63 - 1),
            _whole("min_rows", self.min_rows, 1, 2**31),
            _whole("max_line_bytes", self.max_line_bytes, 1, 1024 * MIB),
            _whole("max_characters", self.max_characters, 1, 1024 * MIB),
            *_drop_faults(self.drop),
            *_layout_faults(self.layout, self.columns),
            None if self.context_window is None else _whole("context_window", self.context_window, 1, 2**31),
            _number("max_expansion", self.max_expansion, lambda v: v >= 1, "of at least 1"),
            _whole("max_unpacked_bytes", self.max_unpacked_bytes, 1, 2**62),
        ]


def _drop_faults(drop: list[str]) -> list[str]:
    known = ", ".join(KINDS)
    return [f"drop names {kind!r}, expected some of {known}" for kind in drop if kind not in KINDS]


def _layout_faults(layout: str | None, columns: dict[str, str]) -> list[str]:
    if layout is None and not columns:
        return []
    from shared.dataset.layouts import chosen

    try:
        chosen(layout, columns)
    except PrepareOptionsError as error:
        return [str(error)]
    return []


def _number(name: str, value: object, fits: Callable[[float], bool], expected: str) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and fits(value):
        return None
    return f"{name} is {value!r}, expected a number {expected}"


def _whole(name: str, value: object, lowest: int, highest: int) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return None
    return f"{name} is {value!r}, expected a whole number from {lowest} to {highest}"
