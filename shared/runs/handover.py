"""Datasets too large for the function: the run's job prepares them, in a step in front of the training.

The job reads a copy of the run's version of the dataset, made within the storage account: what is uploaded over the
blob meanwhile cannot get into it, and the job needs no other datastore than that of the prepared data.
"""

from __future__ import annotations

import msgspec

from shared import typed
from shared.azureml.compute import choose_preparation_compute
from shared.azureml.preparation import PreparationStep
from shared.dataset import DatasetRejectedError, PrepareOptionsError, Report
from shared.dataset.step import DATASET_FILE, FAILURE, TEST_FILE, TOKENIZER_FILE, File, Task, Trouble
from shared.errors import DatasetGoneError, DatasetOptionsError, JobFailedError, ResourceGoneError
from shared.runs import reports
from shared.runs.context import Context, Moved, Waiting
from shared.runs.names import PREPARED, RUNS
from shared.runs.package import bring, dataset_package
from shared.runs.parts import DatasetVersion, PreparedBy, SplitRule
from shared.runs.preparation import adopt_same_content, find_tokenizer, prepare_options, test_gone
from shared.runs.record import Run
from shared.runs.siblings import note_late_test
from shared.runs.states import RunState

SOURCE, TASK = "source", "task.json"
MEGABYTE = 1_000_000
_PAGE = "report.html"


def is_due(context: Context) -> bool:
    """Tell whether the run's dataset is to be prepared in its job: it is large, and not prepared yet."""
    run, services = context.run, context.services
    if _size(run) <= services.settings.prepare_in_function_max_mb * MEGABYTE:
        return False
    return reports.existing_report(services.blobs, run.id) is None


def hand_over(context: Context) -> Moved | Waiting:
    """preparing: keep the run's version of the dataset, and of what lies beside it, for the job.

    Idempotency: the copies under the run's id. Raises: DatasetGoneError: this version is not there any more;
    SiblingGoneError, DatasetOptionsError, TransientError: what lies beside the dataset.
    """
    run, limit = context.run, context.services.settings.prepare_in_function_max_mb
    if not _keep_versions(context):
        return _copying(run)
    run.prepared_by = PreparedBy.JOB
    return Moved(
        RunState.PREPARED,
        f"{_size(run):,} bytes are more than PREPARE_IN_FUNCTION_MAX_MB ({limit}): the job will prepare the dataset",
    )


def stage(context: Context) -> PreparationStep | Waiting | None:
    """prepared: put what the job's preparation step needs in its place.

    Returns: the step; None when nothing is left to prepare; what to wait for.
    Idempotency: names and contents are functions of the run and of this app's version.
    Raises: DatasetRejectedError: an earlier job has found that out. ComputeError; and as `hand_over`.
    """
    run, services = context.run, context.services
    if run.prepared_by != PreparedBy.JOB:
        return None
    report = reports.existing_report(services.blobs, run.id)
    if report is not None:
        if not _adopt(context, report):
            return _publishing(run)
        if not report.usable:
            raise DatasetRejectedError(report)
        return None
    settings = services.settings
    size = choose_preparation_compute(
        services.azureml, name=settings.preparation_compute, size=settings.preparation_instance_type
    )
    if not _keep_versions(context):
        return _copying(run)
    task = msgspec.json.format(msgspec.json.encode(_task(context)))
    services.blobs.write_small(PREPARED, f"{run.id}/{TASK}", task)
    # What an earlier job said of its own failure must not be taken for this one's.
    services.blobs.delete(PREPARED, f"{run.id}/{FAILURE}")
    return PreparationStep(
        package=bring(services.blobs, dataset_package()),
        task=f"{run.id}/{TASK}",
        source=f"{run.id}/{SOURCE}/",
        results=run.id,
        compute=settings.preparation_compute,
        instance_type=size,
    )


def follow(context: Context, *, has_ended: bool, has_completed: bool) -> Waiting | None:
    """training: take over what the job's preparation step has found, as soon as it is there.

    Returns: what to wait for before the run may go on.
    Raises: DatasetRejectedError: the job has ended, because the dataset cannot be used. DatasetGoneError,
    DatasetOptionsError, JobFailedError: it has ended, because the step failed, in the step's own words.
    ResourceGoneError.
    """
    run, blobs = context.run, context.services.blobs
    if run.prepared_by != PreparedBy.JOB or run.test_sha256 is not None:
        return None
    report = reports.existing_report(blobs, run.id)
    if report is not None:
        if not _adopt(context, report):
            return _publishing(run)
        if has_ended and not report.usable:
            raise DatasetRejectedError(report)
    elif has_completed:
        raise ResourceGoneError(
            f"{PREPARED}/{run.id}/report.json is gone: it was removed after the job had written it."
        )
    elif has_ended:
        _raise_trouble(context)
    return None


def drop_versions(context: Context) -> None:
    """Delete the copies that the job has read; the files themselves stay where they are."""
    run = context.run
    if run.prepared_by == PreparedBy.JOB:
        for file in (DATASET_FILE, TEST_FILE, TOKENIZER_FILE):
            context.services.blobs.delete(PREPARED, f"{run.id}/{SOURCE}/{file}")


def record_report(run: Run, report: Report) -> None:
    """Keep with the run what its report counts."""
    counts = ("read", "kept", "train", "test", "duplicate", "sampled_out", "rejected")
    run.rows = {f"rows_{name}": int(getattr(report, f"rows_{name}")) for name in counts}
    run.test_sha256 = report.test_sha256
    own = report.test_file is not None
    run.split = None if own else SplitRule(seed=report.options.seed, test_fraction=report.options.test_fraction)


def _size(run: Run) -> int:
    return run.dataset.size + (run.test_file.size if run.test_file else 0)


def _copying(run: Run) -> Waiting:
    return Waiting(f"a copy of {run.dataset.path}: the job reads this version of it")


def _publishing(run: Run) -> Waiting:
    return Waiting(f"the reports on {run.dataset.path} to be put in their place")


# --- before the job: what it reads


def _keep_versions(context: Context) -> bool:
    """Copy the run's versions of the dataset and what is read with it. Returns whether all copies are complete."""
    run = context.run
    try:
        done = [_copy(context, run.dataset, DATASET_FILE)]
    except DatasetGoneError:
        # The same file uploaded again has another ETag and the same content.
        if not adopt_same_content(context):
            raise
        done = [_copy(context, run.dataset, DATASET_FILE)]
    if run.test_file is not None:
        try:
            done.append(_copy(context, run.test_file, TEST_FILE))
        except DatasetGoneError as gone:
            raise test_gone(context, run.test_file) from gone
    tokenizer = find_tokenizer(context)
    if tokenizer is not None:
        target = (PREPARED, f"{run.id}/{SOURCE}/{TOKENIZER_FILE}")
        done.append(context.services.blobs.copy(tokenizer.container, tokenizer.name, tokenizer.etag, target))
    return all(done)


def _copy(context: Context, version: DatasetVersion, file: str) -> bool:
    target = (PREPARED, f"{context.run.id}/{SOURCE}/{file}")
    return context.services.blobs.copy(version.container, version.blob, version.etag, target)


def _task(context: Context) -> Task:
    run, options = context.run, context.options
    try:
        chosen = prepare_options(options)
    except PrepareOptionsError as fault:
        raise DatasetOptionsError(f"{run.dataset.path} cannot be read as its options say: {fault}") from fault
    training = reports.expected_training(context)
    return Task(
        dataset=_file(run.dataset),
        test=_file(run.test_file) if run.test_file else None,
        tokenizer=options.dataset.tokenizer,
        options=chosen,
        training=msgspec.to_builtins(training) if training else None,
    )


def _file(version: DatasetVersion) -> File:
    return File(name=version.path, size=version.size, md5=version.md5)


# --- after its first step: what it found


def _adopt(context: Context, report: Report) -> bool:
    """Make what the job found the run's own. Returns whether that is done: once it is, the copies are not needed."""
    run = context.run
    if not _publish(context):
        return False
    note_late_test(context)
    run.findings = reports.findings_of(context.services.blobs, run.id, report)
    record_report(run, report)
    drop_versions(context)
    return True


def _publish(context: Context) -> bool:
    """Move what is for people to the container `runs`: it shows conversations, and is nothing a job needs."""
    run, blobs = context.run, context.services.blobs
    page = blobs.read_small(PREPARED, f"{run.id}/{_PAGE}")
    if page is not None:
        blobs.write_small(RUNS, f"{run.id}/{_PAGE}", page, "text/html; charset=utf-8")
        blobs.delete(PREPARED, f"{run.id}/{_PAGE}")
    path = f"{run.id}/{reports.REPAIRED}"
    repaired = blobs.describe(PREPARED, path)
    if repaired is not None:
        if not blobs.copy(PREPARED, path, repaired.etag, (RUNS, path)):
            return False
        blobs.delete(PREPARED, path)
    return True


def _raise_trouble(context: Context) -> None:
    """Raise what the step wrote down about its failure; nothing, when it did not come so far."""
    run, blobs = context.run, context.services.blobs
    data = blobs.read_small(PREPARED, f"{run.id}/{FAILURE}")
    if data is None:
        return
    trouble = typed.decode(data, Trouble)
    if trouble.reason == DatasetGoneError.reason:
        drop_versions(context)  # a retry cannot help
        raise DatasetGoneError(trouble.message)
    if trouble.reason == DatasetOptionsError.reason:
        raise DatasetOptionsError(trouble.message)
    raise JobFailedError(f"Job {run.job_name} could not prepare the dataset: {trouble.message}")
