"""Turn a chat dataset into train and test rows and a report, in one pass over its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from shared.dataset.errors import DatasetRejectedError, UnusableFileError
from shared.dataset.inputs import Input
from shared.dataset.options import PrepareOptions
from shared.dataset.reading import Reading
from shared.dataset.report import Progress, Report
from shared.dataset.samples import Samples
from shared.dataset.sieve import Sieve
from shared.dataset.split import GivenSides, Split, Writer
from shared.dataset.verdict import check_enough, warnings_of

OnProgress = Callable[[Progress], None]


def prepare(
    source: Iterable[bytes],
    *,
    train: Writer,
    test: Writer,
    options: PrepareOptions,
    name: str,
    test_source: Iterable[bytes] | None = None,
    test_name: str = "",
    samples: Samples | None = None,
    mended: Writer | None = None,
    on_progress: OnProgress | None = None,
) -> Report:
    """Check, clean, sample and split the conversations of a dataset.

    Args: source: the file's bytes in blocks of any size, read once. train, test: take the rows; the caller commits them
    after this returned, and throws them away when it raised. name: the dataset's name, for the report and the wording.
    test_source, test_name: a test file of the user's own; its rows are the test set, whole, and what it asks is not
    trained on. samples: gathers some kept conversations to look at. mended: takes rows that are left out, as they would
    be with their blank messages removed. on_progress: called about every 4 MiB; may raise to stop.

    Returns: the report of a usable dataset. Rows are written as {"prompt", "messages": [{"content", "role"}],
    "prompt_id"}; the prompt is the first user message.
    Raises: DatasetRejectedError: nothing to train on; carries the report. PrepareOptionsError: the tokenizer.json
    cannot be read.
    """
    file = Input(source, name, options)
    test_file = None if test_source is None else Input(test_source, test_name, options)
    preparation = Preparation(file, test_file, train, test, options, samples, mended, on_progress)
    with preparation.judged():
        for each in (test_file, file):
            if each is not None:
                each.open()
        if file.is_parquet or (test_file is not None and test_file.is_parquet):
            from shared.dataset.apart import prepare_apart

            return prepare_apart(file, test_file, train, test, options, samples, mended, on_progress)
        preparation.read()
    return preparation.report(usable=True)


class Preparation:
    """The state of one pass over a dataset, or over its test file and then its training file."""

    def __init__(
        self,
        file: Input,
        test_file: Input | None,
        train: Writer,
        test: Writer,
        options: PrepareOptions,
        samples: Samples | None = None,
        mended: Writer | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._options = options
        self._sides: Split | GivenSides
        self._test: Reading | None = None
        if test_file is None:
            self._sides = Split(train, test, options.test_fraction)
            sieve = Sieve(options, self._sides, samples=samples, mended=mended)
        else:
            self._sides = GivenSides(train, test)
            whole = msgspec.structs.replace(options, sample_percent=100.0)
            test_sieve = Sieve(whole, self._sides, remembers=True)
            self._test = Reading(test_file, test_sieve, options, on_progress)
            sieve = Sieve(options, self._sides, samples=samples, held_out=test_sieve.prompts, mended=mended)
        self._train = Reading(file, sieve, options, on_progress)

    def judged(self) -> Judged:
        """Turn what makes the file unusable into a DatasetRejectedError with the report."""
        return Judged(self)

    def read(self, parquet: Path | None = None, test_parquet: Path | None = None) -> None:
        """Read everything. parquet, test_parquet: where the files lie if they are Parquet files."""
        if self._test is not None and isinstance(self._sides, GivenSides):
            self._read_test(self._test, test_parquet)
            self._sides.reads_test = False
        self._train.read(parquet)
        has_both = self._sides.finish()
        check_enough(self._train, self._options, has_both=has_both, has_test_file=self._test is not None)

    def _read_test(self, reading: Reading, parquet: Path | None) -> None:
        try:
            reading.read(parquet)
            check_enough(reading, PrepareOptions(min_rows=1), has_both=True, has_test_file=True)
        except UnusableFileError as error:
            error.reason = f"the test file {reading.file.name}: {error.reason}"
            raise

    def report(self, *, usable: bool, reason: str | None = None) -> Report:
        """What was found so far."""
        report = self._report_of(self._train)
        report.usable, report.reason = usable, reason
        report.rows_train, report.rows_test = self._sides.train.rows, self._sides.test.rows
        report.test_sha256 = self._sides.test.sha256() if usable else None
        report.warnings = warnings_of(report)
        if self._test is not None:
            found = self._report_of(self._test)
            found.usable, found.rows_test = usable, self._sides.test.rows
            _add_test_file(report, found)
        return report

    def _report_of(self, reading: Reading) -> Report:
        sieve, file, measures = reading.sieve, reading.file, reading.sieve.measures
        return Report(
            dataset=file.name,
            usable=False,
            reason=None,
            format=reading.format,
            layout=reading.layout,
            bytes_read=file.bytes_read,
            rows_read=sieve.rows_read,
            rows_kept=sieve.rows_kept,
            rows_train=0,
            rows_test=0,
            rows_duplicate=sieve.rows_duplicate,
            rows_sampled_out=sieve.rows_sampled_out,
            rows_rejected=sieve.rejected.total,
            rejected_by_reason=sieve.rejected.most_frequent_first(),
            notes=sieve.notes.most_frequent_first(),
            turns=measures.turns.histogram(),
            characters=measures.characters.histogram(),
            approx_tokens=measures.approx_tokens.histogram(),
            content_hash=sieve.content_hash(),
            test_sha256=None,
            options=self._options,
            compression=file.compression,
            numbered_by=reading.numbered_by,
            system_prompts=sieve.system_prompts(),
            rows_over_context=measures.rows_over_context,
            tokens_over_context=measures.tokens_over_context,
            tokens="exact" if measures.counter else "estimated",
            rows_mendable=sieve.rows_mendable,
        )

    def stop(self) -> None:
        """Pass on what is left of a dataset that cannot be used, so that the counts agree."""
        self._sides.finish()

    def close(self) -> None:
        """Let go of what a stopped preparation holds."""
        self._sides.close()


class Judged:
    """Where an UnusableFileError becomes a DatasetRejectedError."""

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        preparation = self._preparation
        try:
            if isinstance(error, UnusableFileError):
                preparation.stop()
                report = preparation.report(usable=False, reason=error.reason)
                report.format = report.format or error.format
                raise DatasetRejectedError(report) from None
        finally:
            preparation.close()


def _add_test_file(report: Report, found: Report) -> None:
    """Make the report one of both files: sums, and the test file's own findings beside them."""
    for counted in ("bytes_read", "rows_read", "rows_kept", "rows_duplicate", "rows_rejected", "rows_mendable"):
        setattr(report, counted, getattr(report, counted) + getattr(found, counted))
    for mine, others in ((report.rejected_by_reason, found.rejected_by_reason), (report.notes, found.notes)):
        for code, tally in others.items():
            mine.setdefault(code, msgspec.structs.replace(tally, count=0, first_lines=[])).count += tally.count
    report.test_file = found
