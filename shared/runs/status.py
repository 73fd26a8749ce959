"""`runs/{run id}/status.json`: what a run is at, for people who have only the storage account."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.runs import names
from shared.runs.parts import Hold, ModelScore
from shared.runs.record import Run, is_in_line
from shared.runs.states import MOVING, RunState
from shared.services import Services

RESULTS = "evaluation.json"
_log = logging.getLogger(__name__)


def write_status(services: Services, run: Run) -> None:
    """Keep status.json up to date. Never stops a run."""
    from azure.core.exceptions import AzureError

    try:
        data = msgspec.json.format(msgspec.json.encode(status_of(services, run)))
        services.blobs.write_small(names.RUNS, f"{run.id}/status.json", data)
    except AzureError as fault:
        _log.warning("run %s: status.json was not written: %s", run.id, type(fault).__name__)


def status_of(services: Services, run: Run) -> dict[str, Any]:
    """Return the run's record with sentences and addresses in front; of conversations it holds nothing."""
    files = {name: services.blobs.url(container, f"{run.id}/{file}") for name, container, file in _files(run)}
    run.costs = run.costs.at(services.now())
    return {"summary": list(_sentences(run)), "files": files, **msgspec.to_builtins(run)}


def _sentences(run: Run) -> Iterator[str]:
    yield f"The run on {run.dataset.path} is {run.state} since {run.state_since:%Y-%m-%d %H:%M:%S} UTC."
    if run.state == RunState.HELD and run.hold is not None:
        yield from _held(run, run.hold)
    elif run.waiting_for and run.state in MOVING:
        yield f"It waits for {run.waiting_for}."
    if is_in_line(run):
        yield f"GET /api/runs/{run.id} says which place in line it has."
    if run.failure is not None:
        yield run.failure.message
    elif run.state == RunState.CANCELLED:
        yield f"{run.history[-1].reason}."
    if run.hold is not None and run.state == RunState.HELD:
        yield run.hold.message
    if rows := run.rows:
        yield (
            f"Of {_rows(rows['rows_read'])} {rows['rows_kept']:,} were kept: {rows['rows_train']:,} to train on, "
            f"{rows['rows_test']:,} to test with."
        )
    yield from _left_out(run)
    yield from _money(run)
    if run.findings is not None:
        yield from run.findings.warnings
        if run.findings.repaired:
            yield (
                f"repaired.jsonl is the dataset with {_rows(run.findings.rows_mendable)} mended: look at it, and "
                "upload it if it is what you meant."
            )
    yield from _measured(run)
    yield from run.notes
    if run.history_left_out:
        yield f"The history is long: {run.history_left_out:,} transitions are left out of its middle."
    if run.shortened:
        yield f"Shortened, because the record would have been too long: {', '.join(run.shortened)}."


def _money(run: Run) -> Iterator[str]:
    if run.estimate is not None:
        yield run.estimate.sentence()
    if sentence := run.costs.sentence():
        yield sentence


def _held(run: Run, hold: Hold) -> Iterator[str]:
    yield f"It waits for a person to decide: {hold.message}"
    onward = "deploy deploys the model all the same" if hold.state == RunState.REGISTERED else "approve lets it go on"
    yield f"POST /api/runs/{run.id}/{onward}; POST /api/runs/{run.id}/cancel ends it."


def _measured(run: Run) -> Iterator[str]:
    """Say how good the trained model is, beside the others."""
    evaluation = run.evaluation
    if evaluation is None:
        return
    if evaluation.error is not None:
        yield f"The evaluation is not complete: {evaluation.error}"
    live = f"the live model (run {evaluation.compared_with})"
    named = (("the trained model", evaluation.candidate), ("the base model", evaluation.base), (live, evaluation.live))
    for name, score in named:
        if score is None:
            continue
        if score.error is not None:
            yield f"The evaluation of {name} failed: {score.error}"
        if score.loss is not None:
            yield f"On {_rows(score.rows)} of the test set {name} has {_numbers(score)}."


def _numbers(score: ModelScore) -> str:
    told = [f"a loss of {score.loss:.3f} (perplexity {score.perplexity:.3g})"]
    if score.similarity is not None:
        told.append(f"answers {score.similarity:.0%} like the true ones")
    if score.probe_accuracy is not None:
        told.append(f"{score.probe_accuracy:.0%} of the general questions right")
    return ", ".join(told)


def _left_out(run: Run) -> Iterator[str]:
    findings = run.findings.left_out if run.findings is not None else []
    for finding in findings:
        yield f"Left out, {_rows(finding.rows)}: {finding.words} (first in {finding.first})."
    for name, words in (("rows_duplicate", "the same conversation again"), ("rows_sampled_out", "not in the sample")):
        if run.rows.get(name):
            yield f"Left out, {_rows(run.rows[name])}: {words}."


def _files(run: Run) -> Iterator[tuple[str, str, str]]:
    """Yield what there is to look at: its name, its container, its file."""
    if run.findings is None:
        return
    yield "report_page", names.RUNS, "report.html"
    yield "report", names.PREPARED, "report.json"
    if run.findings.repaired:
        yield "repaired", names.RUNS, "repaired.jsonl"
    if run.state != RunState.REJECTED:
        yield "train", names.PREPARED, "train.jsonl"
        yield "test", names.PREPARED, "test.jsonl"
    if run.evaluation is not None and run.evaluation.candidate is not None:
        yield "evaluation", names.PREPARED, RESULTS
    if run.smoke_test is not None:
        yield "smoke_test", names.RUNS, "smoke_test.json"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
