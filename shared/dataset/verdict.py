"""When a dataset that was read to its end is not enough to train and test on, in words for people."""

from __future__ import annotations

from shared.dataset.errors import UnusableFileError
from shared.dataset.options import PrepareOptions
from shared.dataset.reasons import REJECTED
from shared.dataset.report import Tallies


def check_enough(
    *,
    bytes_read: int,
    rows_read: int,
    rows_kept: int,
    rows_sampled_out: int,
    rejected: Tallies,
    several_prompts: bool,
    options: PrepareOptions,
) -> None:
    """Say whether what is left can be used. Raises: UnusableFileError: it cannot; the reason is one sentence."""
    if not rows_read:
        raise UnusableFileError("the file holds only blank lines" if bytes_read else "the file is empty")
    if not rows_kept and rows_sampled_out:
        raise UnusableFileError(
            f"sample_percent {options.sample_percent:g} left out all of the {rows_sampled_out:,} usable rows; "
            "choose a larger share"
        )
    if not rows_kept:
        none = "the only row cannot" if rows_read == 1 else f"none of the {rows_read:,} rows can"
        raise UnusableFileError(f"{none} be used{_why(rejected)}")
    if rows_kept < options.min_rows:
        raise UnusableFileError(
            f"only {rows_kept:,} of {count_rows(rows_read)} would be kept, "
            f"at least {options.min_rows:,} are needed{_why(rejected)}"
        )
    if not several_prompts:
        raise UnusableFileError(
            f"all usable rows ({rows_kept:,}) start with the same user message; at least 2 different ones are needed, "
            "one to train on and one to test with"
        )


def count_rows(rows: int) -> str:
    """A number of rows in words."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _why(rejected: Tallies) -> str:
    """The three most frequent reasons, each with a line to look at."""
    reasons = list(rejected.most_frequent_first().items())[:3]
    sentences = [f"{REJECTED[code]} ({count_rows(t.count)}, first in line {t.first_lines[0]:,})" for code, t in reasons]
    return ": " + "; ".join(sentences) if sentences else ""
