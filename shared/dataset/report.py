"""What was found in a dataset: the report, and the counters it is made from."""

from __future__ import annotations

import msgspec

from shared import typed
from shared.dataset.options import PrepareOptions

FIRST_LINES = 10


class Progress(msgspec.Struct, frozen=True):
    """How far the reading has come."""

    bytes_read: int
    rows_read: int


class Tally(msgspec.Struct):
    """How often something was found, and the first line numbers where."""

    count: int = 0
    first_lines: list[int] = []

    def add(self, line: int) -> None:
        """Count one finding."""
        self.count += 1
        if len(self.first_lines) < FIRST_LINES:
            self.first_lines.append(line)


class Tallies(dict[str, Tally]):
    """Tallies by code; a line counts once for each code."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line: dict[str, int] = {}

    def add(self, code: str, line: int) -> None:
        """Count a finding of `code` in a line."""
        if self._last_line.get(code) == line:
            return
        self._last_line[code] = line
        tally = self.get(code)
        if tally is None:
            tally = self[code] = Tally()
        tally.add(line)

    def add_run(self, code: str, line: int, count: int) -> None:
        """Count a finding in each of several lines, one behind the other."""
        for number in range(line, line + min(count, FIRST_LINES)):
            self.add(code, number)
        if count > FIRST_LINES:
            self[code].count += count - FIRST_LINES
            self._last_line[code] = line + count - 1

    def count(self, code: str) -> int:
        """Number of findings of `code`."""
        tally = self.get(code)
        return tally.count if tally else 0

    @property
    def total(self) -> int:
        """Number of findings of all codes."""
        return sum(tally.count for tally in self.values())

    def most_frequent_first(self) -> dict[str, Tally]:
        """Plain mapping for the report."""
        return dict(sorted(self.items(), key=lambda item: (-item[1].count, item[0])))


class Bucket(msgspec.Struct, frozen=True, rename={"lower": "from", "upper": "to"}):
    """Number of values from `lower` to `upper`, both included."""

    lower: int
    upper: int
    count: int


class Histogram(msgspec.Struct, frozen=True):
    """Distribution of a whole number over the kept rows."""

    count: int
    total: int
    minimum: int
    maximum: int
    mean: float
    buckets: list[Bucket]


class SystemPrompts(msgspec.Struct, frozen=True, kw_only=True):
    """System messages of the kept rows. distinct: counted up to 1,000."""

    rows_with: int = 0
    rows_without: int = 0
    distinct: int = 0


class Report(msgspec.Struct, kw_only=True):
    """Everything a person or a program wants to know about a prepared dataset.

    rows_read = rows_kept + rows_duplicate + rows_sampled_out + rows_rejected; rows_kept = rows_train + rows_test.
    A row is a line that is not blank, a value of an array, or a record of a table. first_lines count lines of the file
    or, as numbered_by says, rows; both from 1, blank lines included.

    A dataset that comes with a test file of its own: the counts are the sums of both files, first_lines are those of
    the training file, and test_file is what was found in the other one.

    turns, characters, approx_tokens: over the kept rows; turns leave the system message out.
    notes: what was repaired or ignored in rows that were read; a row may have several.
    tokens: whether approx_tokens are "estimated" or "exact". rows_over_context, tokens_over_context: kept rows longer
    than the context window, and how many of their tokens training would cut off.
    rows_mendable: rows that were mended, or that repaired.jsonl holds mended.
    content_hash: of the kept conversations in their order ("xxh3_128:..."), the same in every format. test_sha256: of
    test.jsonl, null when rejected.
    """

    dataset: str
    usable: bool
    reason: str | None
    format: str | None
    layout: str | None
    bytes_read: int
    rows_read: int
    rows_kept: int
    rows_train: int
    rows_test: int
    rows_duplicate: int
    rows_sampled_out: int
    rows_rejected: int
    rejected_by_reason: dict[str, Tally]
    notes: dict[str, Tally]
    turns: Histogram
    characters: Histogram
    approx_tokens: Histogram
    content_hash: str
    test_sha256: str | None
    options: PrepareOptions
    compression: str | None = None
    numbered_by: str = "line"
    system_prompts: SystemPrompts = SystemPrompts()
    rows_over_context: int = 0
    tokens_over_context: int = 0
    tokens: str = "estimated"
    rows_mendable: int = 0
    warnings: list[str] = []
    test_file: Report | None = None

    @property
    def is_mendable(self) -> bool:
        """Whether repaired.jsonl would differ from the dataset by a mend."""
        return bool(self.rows_mendable or "bom_removed" in self.notes)

    def to_json(self) -> bytes:
        """The report as indented JSON with a newline at the end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """Read back what `to_json` wrote.

        Raises: msgspec.ValidationError, msgspec.DecodeError: `data` is something else.
        """
        return typed.decode(data, cls)
