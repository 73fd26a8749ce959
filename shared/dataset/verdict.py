"""When a dataset that was read to its end is not enough to train and test on, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.dataset.errors import UnusableFileError
from shared.dataset.options import PrepareOptions
from shared.dataset.reasons import REJECTED
from shared.dataset.report import Report, Tallies

if TYPE_CHECKING:
    from shared.dataset.reading import Reading


def check_enough(reading: Reading, options: PrepareOptions, *, has_both: bool, has_test_file: bool) -> None:
    """Say whether what is left can be used. Raises: UnusableFileError: it cannot; the reason is one sentence.

    has_both: whether there is a row to train on, and one to test with.
    """
    sieve = reading.sieve
    rows_read, rows_kept = sieve.rows_read, sieve.rows_kept
    if not rows_read:
        raise UnusableFileError(_nothing(reading))
    if not rows_kept and sieve.rows_sampled_out:
        raise UnusableFileError(
            f"sample_percent {options.sample_percent:g} left out all of the {sieve.rows_sampled_out:,} usable rows; "
            "choose a larger share"
        )
    reasons = why(sieve.rejected, reading.numbered_by)
    if not rows_kept:
        none = "the only row cannot" if rows_read == 1 else f"none of the {rows_read:,} rows can"
        raise UnusableFileError(f"{none} be used{reasons}")
    if rows_kept < options.min_rows and not has_test_file:
        raise UnusableFileError(
            f"only {rows_kept:,} of {count_rows(rows_read)} would be kept, "
            f"at least {options.min_rows:,} are needed{reasons}"
        )
    if not has_both:
        raise UnusableFileError(
            f"all usable rows ({rows_kept:,}) start with the same user message; at least 2 different ones are needed, "
            "one to train on and one to test with"
        )


def _nothing(reading: Reading) -> str:
    if not reading.file.bytes_read:
        return "the file is empty"
    return "the file holds only blank lines" if reading.format == "jsonl" else "the file holds no rows"


def warnings_of(report: Report) -> list[str]:
    """What a person should think about before training on a usable dataset."""
    warnings = []
    prompts, kept = report.system_prompts, sum((report.system_prompts.rows_with, report.system_prompts.rows_without))
    if prompts.rows_with and prompts.rows_without:
        warnings.append(
            f"{count_rows(prompts.rows_with)} begin with a system message and {count_rows(prompts.rows_without)} do "
            "not; the model learns best from one way of being asked"
        )
    if prompts.distinct > 1:
        many = f"{prompts.distinct:,} different ones" if prompts.distinct < 1000 else "at least 1,000 different ones"
        warnings.append(f"the system messages differ ({many}); at the endpoint, use one of those that were trained on")
    if report.rows_over_context:
        window = report.options.context_window or 0
        warnings.append(
            f"{count_rows(report.rows_over_context)} are longer than the context window of {window:,} tokens: about "
            f"{report.tokens_over_context:,} tokens at their ends would not be trained on"
        )
    if kept and report.rows_duplicate > kept:
        warnings.append(f"more rows are duplicates ({report.rows_duplicate:,}) than are not ({kept:,})")
    return warnings


def count_rows(rows: int) -> str:
    """A number of rows in words."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


def why(rejected: Tallies, numbered_by: str) -> str:
    """The three most frequent reasons, each with a line to look at."""
    frequent = list(rejected.most_frequent_first().items())[:3]
    sentences = [
        f"{REJECTED[code]} ({count_rows(tally.count)}, first in {numbered_by} {tally.first_lines[0]:,})"
        for code, tally in frequent
    ]
    return ": " + "; ".join(sentences) if sentences else ""
