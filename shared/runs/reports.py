"""What people are shown of a preparation: report.json, report.html, repaired.jsonl, and the findings in the record.

The page holds sample conversations, and repaired.jsonl all of them: both lie in the container `runs`, and only there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from shared import typed
from shared.dataset import PrepareOptions, Report, repair
from shared.dataset.reasons import REJECTED
from shared.dataset.rows import Row
from shared.errors import ActionRefusedError, LeaseLostError
from shared.runs.context import CancelRequestedError, Context
from shared.runs.names import PREPARED, RUNS
from shared.runs.parts import Finding, Findings
from shared.services import Services
from shared.storage import Blobs, BlockWriter

if TYPE_CHECKING:
    from shared.costs import TrainingPlan
    from shared.dataset.page import Training

REPAIRED = "repaired.jsonl"
MOST_REPAIRED = 1024**3
"""Bytes of a dataset, and of its repaired.jsonl, above which the latter is not written."""
_log = logging.getLogger(__name__)


class _TooLargeError(Exception):
    """repaired.jsonl would be larger than a person wants to look at."""


def existing_report(blobs: Blobs, run_id: str) -> Report | None:
    """Return the report that an earlier preparation wrote, None when it did not come so far."""
    data = blobs.read_small(PREPARED, f"{run_id}/report.json")
    return typed.decode(data, Report) if data else None


def write_report(context: Context, report: Report) -> None:
    """Write report.json; after everything else of a preparation, because what is there when it is there is complete."""
    data = msgspec.json.format(msgspec.json.encode(report))
    context.services.blobs.write_small(PREPARED, f"{context.run.id}/report.json", data)


def write_report_page(context: Context, report: Report, samples: Sequence[Row]) -> None:
    """Write report.html, with what the training is expected to take."""

    def write() -> None:
        from shared.dataset.page import render

        page = render(report, samples, _training(context, report))
        context.services.blobs.write_small(RUNS, f"{context.run.id}/report.html", page, "text/html; charset=utf-8")

    _as_an_extra(context, "report.html", write)


def _training(context: Context, report: Report) -> Training | None:
    """Estimate what the rows mean in training."""
    from shared.costs import estimate, workload_of

    expected = expected_training(context) if report.usable else None
    return estimate(workload_of(report), expected) if expected else None


def expected_training(context: Context) -> TrainingPlan | None:
    """Return what is known of the training; None when a hyperparameter cannot be used.

    Before the job is planned the catalog has not been asked which size the model wants; then it is the options' and the
    settings', or else the usual one, and the page names it.
    """
    from shared.costs import DEFAULT_INSTANCE_TYPE, TrainingPlan

    options, plan = context.options, context.run.plan
    size = plan.instance_type if plan else options.training_instance_type or DEFAULT_INSTANCE_TYPE
    try:
        return TrainingPlan.of(
            plan.hyperparameters if plan else options.hyperparameters,
            foundation_model=(plan.foundation_model if plan else options.foundation_model).partition(":")[0],
            instance_type=size,
            gpus_per_node=plan.gpus_per_node if plan else None,
            usd_per_hour=context.services.settings.price(size),
        )
    except msgspec.ValidationError:
        return None  # a hyperparameter that cannot be used: the next step says so


def write_repaired(context: Context, report: Report, options: PrepareOptions) -> None:
    """Write the dataset once more with every mechanical mend applied, if one was found; a second pass over it."""
    if not report.is_mendable:
        return
    dataset, blobs = context.run.dataset, context.services.blobs

    def write() -> None:
        if dataset.size > MOST_REPAIRED:
            raise _TooLargeError
        writer = blobs.writer(RUNS, f"{context.run.id}/{REPAIRED}")
        source = blobs.read(dataset.container, dataset.blob, dataset.etag)
        has_rows = repair(source, _Bounded(writer), options, dataset.path, lambda _: context.still_alive())
        context.save()  # only the lease's holder may commit
        if has_rows:
            writer.commit()

    _as_an_extra(context, REPAIRED, write)


def findings_of(blobs: Blobs, run_id: str, report: Report) -> Findings:
    """Return what the record keeps of a report."""
    left_out = [
        Finding(reason=code, words=REJECTED.get(code, code), rows=tally.count, first=_first(report, code))
        for code, tally in report.rejected_by_reason.items()
    ]
    repaired = report.is_mendable and blobs.describe(RUNS, f"{run_id}/{REPAIRED}") is not None
    return Findings(
        format=report.format,
        layout=report.layout,
        left_out=left_out,
        warnings=list(report.warnings),
        rows_mendable=report.rows_mendable,
        repaired=repaired,
    )


def _first(report: Report, code: str) -> str:
    """Say where a reason was met first: in the dataset, or in its test file when it was met only there."""
    if lines := report.rejected_by_reason[code].first_lines:
        return f"{report.numbered_by} {lines[0]:,}"
    if report.test_file is not None and code in report.test_file.rejected_by_reason:
        return f"{_first(report.test_file, code)} of the test file"
    return "an unknown place"


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


def report_page_of(services: Services, run_id: str) -> bytes:
    """Return the same as a page; made anew, without samples and costs, where none was written.

    Raises: RunNotFoundError; ActionRefusedError: there is no report, and why.
    """
    report = report_of(services, run_id)
    page = services.blobs.read_small(RUNS, f"{run_id}/report.html")
    if page is not None:
        return page
    from shared.dataset.page import render

    return render(report, [], None)


def _as_an_extra(context: Context, name: str, write: Callable[[], None]) -> None:
    """Write what is nice to have: its failure is noted, and stops nothing. No text of the fault: it may quote a row."""
    try:
        write()
    except (LeaseLostError, CancelRequestedError):
        raise
    except _TooLargeError:
        context.run.note(f"{name} was not written: it would be larger than {MOST_REPAIRED // 1024**2:,} MiB.")
    except Exception as fault:  # noqa: BLE001 - noted and logged, by its name
        _log.warning("run %s: %s was not written: %s", context.run.id, name, type(fault).__name__)
        context.run.note(f"{name} could not be written ({type(fault).__name__}).")


class _Bounded:
    """A writer that stops a blob from growing beyond what anybody wants: packed files unpack to any size."""

    def __init__(self, writer: BlockWriter) -> None:
        self._writer, self._left = writer, MOST_REPAIRED

    def write(self, data: bytes | bytearray) -> None:
        """Pass on. Raises: _TooLargeError."""
        self._left -= len(data)
        if self._left < 0:
            raise _TooLargeError
        self._writer.write(data)
