"""From a dataset blob to train.jsonl, test.jsonl and report.json: the step between storage and `shared.dataset`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.dataset import DatasetRejectedError, PrepareOptions, PrepareOptionsError, Report, prepare
from shared.dataset.samples import Samples
from shared.errors import DatasetGoneError, DatasetOptionsError, SiblingGoneError, TransientError
from shared.runs import reports
from shared.runs.context import Context
from shared.runs.names import PREPARED
from shared.runs.options import EffectiveOptions
from shared.runs.pairs import folder_of
from shared.runs.parts import DatasetVersion
from shared.runs.siblings import find_test, note_late_test, version_of
from shared.storage import BlobInfo

SAMPLES = 3
MOST_TOKENIZER = 64 * 1024**2  # the largest in use have about 20 MB


def prepare_dataset(context: Context) -> Report:
    """Prepare the run's dataset, streaming; the blobs appear when they are complete, the report last.

    Idempotency: the report under the run's id; when it is there, everything is.
    Raises: DatasetRejectedError: not usable; the report that says why is written as well. DatasetGoneError;
    SiblingGoneError, DatasetOptionsError, TransientError: what lies beside the dataset, and has to be read with it.
    """
    run, blobs = context.run, context.services.blobs
    report = reports.existing_report(blobs, run.id)
    if report is None:
        report = _prepare(context)
        note_late_test(context)
    run.findings = reports.findings_of(blobs, run.id, report)
    if not report.usable:
        raise DatasetRejectedError(report)
    return report


def prepare_options(options: EffectiveOptions, tokenizer: str | None = None) -> PrepareOptions:
    """Return what a run's options say about the preparation, wherever it takes place.

    Args: tokenizer: path of the file that the option names.
    """
    own = options.dataset
    return PrepareOptions(
        sample_percent=options.sample_percent,
        test_fraction=options.test_fraction,
        seed=options.seed,
        layout=own.layout,
        columns=own.columns or {},
        drop=own.drop or [],
        context_window=own.context_window,
        tokenizer=tokenizer,
    )


def _prepare(context: Context) -> Report:
    try:
        return _read(context)
    except DatasetGoneError:
        # The same file uploaded again has another ETag and the same content: read it anew, once.
        if not adopt_same_content(context):
            raise
        return _read(context)


def adopt_same_content(context: Context) -> bool:
    """Go on with what lies under the dataset's name now, if that is the same file. Returns whether it is."""
    dataset = context.run.dataset
    now = context.services.blobs.describe(dataset.container, dataset.blob)
    if now is None or now.md5 is None or (now.md5, now.size) != (dataset.md5, dataset.size):
        return False
    context.run.dataset = msgspec.structs.replace(dataset, etag=now.etag)
    return True


def _read(context: Context) -> Report:
    run, blobs = context.run, context.services.blobs
    train, test = (blobs.writer(PREPARED, f"{run.id}/{name}.jsonl") for name in ("train", "test"))
    samples = Samples(SAMPLES)
    with _tokenizer(context) as tokenizer:
        try:
            options = prepare_options(context.options, tokenizer)
            report = prepare(
                blobs.read(run.dataset.container, run.dataset.blob, run.dataset.etag),
                train=train,
                test=test,
                options=options,
                name=run.dataset.path,
                test_source=_test_blocks(context, run.test_file) if run.test_file else None,
                test_name=run.test_file.path if run.test_file else "",
                samples=samples,
                on_progress=lambda _: context.still_alive(),
            )
            context.save()  # only the lease's holder may commit
            train.commit()
            test.commit()
        except DatasetRejectedError as rejected:
            report = rejected.report
        except PrepareOptionsError as fault:
            raise DatasetOptionsError(f"{run.dataset.path} cannot be read as its options say: {fault}") from fault
    report = _named(report, context.options.dataset.tokenizer)
    reports.write_repaired(context, report, options)
    reports.write_report_page(context, report, samples.rows)
    reports.write_report(context, report)
    return report


def _test_blocks(context: Context, test: DatasetVersion) -> Iterator[bytes]:
    """Read the test file. One that was replaced meanwhile is read anew, with the whole dataset, at the next attempt."""
    try:
        yield from context.services.blobs.read(test.container, test.blob, test.etag)
    except DatasetGoneError as gone:
        raise test_gone(context, test) from gone


def test_gone(context: Context, test: DatasetVersion) -> SiblingGoneError | TransientError:
    """Return what it means that a run's test file is not there any more; a new version of it becomes the run's."""
    now = find_test(context)
    if now is None:
        return SiblingGoneError(
            f"{test.path} was removed before it was read to its end, and {context.run.dataset.path} is to be "
            f"tested with it. Upload it again, then POST /api/runs/{context.run.id}/retry."
        )
    context.run.test_file = version_of(now)
    return TransientError(f"{test.path} was replaced while it was read; the new version is read next")


@contextmanager
def _tokenizer(context: Context) -> Iterator[str | None]:
    """Put the tokenizer beside the dataset, if its options name one, into a file of this machine for a while."""
    found = find_tokenizer(context)
    if found is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tokenizer-") as folder:
        file = Path(folder) / "tokenizer.json"
        file.write_bytes(context.services.blobs.read_small(found.container, found.name) or b"")
        yield str(file)


def find_tokenizer(context: Context) -> BlobInfo | None:
    """Return the tokenizer beside the dataset, None when its options name none. Raises: DatasetOptionsError."""
    dataset, name = context.run.dataset, context.options.dataset.tokenizer
    if name is None:
        return None
    path = folder_of(dataset.blob) + name
    found = context.services.blobs.describe(dataset.container, path)
    if found is None:
        raise DatasetOptionsError(f"There is no {dataset.container}/{path}, which dataset.tokenizer names. Upload it.")
    if found.size > MOST_TOKENIZER:
        raise DatasetOptionsError(
            f"{dataset.container}/{path} has {found.size:,} bytes, expected a tokenizer.json of at most "
            f"{MOST_TOKENIZER:,}."
        )
    return found


def _named(report: Report, tokenizer: str | None) -> Report:
    """Put the tokenizer's own name into the report, instead of that of a file which is gone by now."""
    return msgspec.structs.replace(report, options=msgspec.structs.replace(report.options, tokenizer=tokenizer))
