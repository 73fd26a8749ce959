"""From a dataset blob to train.jsonl, test.jsonl and report.json: the step between storage and `shared.dataset`."""

from __future__ import annotations

import msgspec

from shared.dataset import DatasetRejectedError, PrepareOptions, Report, prepare
from shared.errors import ActionRefusedError, DatasetGoneError
from shared.runs.context import Context
from shared.runs.names import PREPARED
from shared.services import Services
from shared.storage import Blobs


def prepare_dataset(context: Context) -> Report:
    """Prepare the run's dataset, streaming; the blobs appear when they are complete, the report last.

    Idempotency: the report under the run's id; when it is there, everything is.
    Raises: DatasetRejectedError: not usable; the report that says why is written as well. DatasetGoneError.
    """
    run, blobs = context.run, context.services.blobs
    report = existing_report(blobs, run.id)
    if report is None:
        report = _prepare(context)
    if not report.usable:
        raise DatasetRejectedError(report)
    return report


def existing_report(blobs: Blobs, run_id: str) -> Report | None:
    """Return the report that an earlier preparation wrote, None when it did not come so far."""
    data = blobs.read_small(PREPARED, f"{run_id}/report.json")
    return msgspec.json.decode(data, type=Report) if data else None


def _prepare(context: Context) -> Report:
    try:
        return _read(context)
    except DatasetGoneError:
        # The same file uploaded again has another ETag and the same content: read it anew, once.
        if not _adopt_same_content(context):
            raise
        return _read(context)


def _adopt_same_content(context: Context) -> bool:
    dataset = context.run.dataset
    now = context.services.blobs.describe(dataset.container, dataset.blob)
    if now is None or now.md5 is None or (now.md5, now.size) != (dataset.md5, dataset.size):
        return False
    context.run.dataset = msgspec.structs.replace(dataset, etag=now.etag)
    return True


def _read(context: Context) -> Report:
    run, blobs, options = context.run, context.services.blobs, context.options
    train, test = (blobs.writer(PREPARED, f"{run.id}/{name}.jsonl") for name in ("train", "test"))
    try:
        report = prepare(
            blobs.read(run.dataset.container, run.dataset.blob, run.dataset.etag),
            train=train,
            test=test,
            options=PrepareOptions(
                sample_percent=options.sample_percent, test_fraction=options.test_fraction, seed=options.seed
            ),
            name=run.dataset.path,
            on_progress=lambda _: context.still_alive(),
        )
        context.save()  # only the lease's holder may commit
        train.commit()
        test.commit()
    except DatasetRejectedError as rejected:
        report = rejected.report
    blobs.write_small(PREPARED, f"{run.id}/report.json", msgspec.json.format(msgspec.json.encode(report)))
    return report


def report_of(services: Services, run_id: str) -> Report:
    """Return what preparation found in a run's dataset.

    Raises: RunNotFoundError; ActionRefusedError: there is no report, and why.
    """
    run = services.store.get(run_id)
    report = existing_report(services.blobs, run_id)
    if report is None:
        why = run.failure.message if run.failure else "its dataset is not prepared yet"
        raise ActionRefusedError(f"Run {run_id} is {run.state} and has no report: {why}")
    return report
