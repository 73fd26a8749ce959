"""Metrics: runs, rows, hours and money, counted where they become certain.

A counter counts what this app has recorded; a process that dies between the record and the count leaves one out. The
truth about a run is its row, and about money the bill: metrics are for watching.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.runs.costs import What
from shared.runs.parts import PreparedBy, Transition
from shared.runs.states import RunState

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, _Gauge

    from shared.runs.record import Run

_SERVING = (RunState.DEPLOYING, RunState.VERIFYING, RunState.LIVE)
_AS_PREPARED = (RunState.PREPARED, RunState.REJECTED)
_AS_TRAINED = (RunState.TRAINED, RunState.REJECTED)
_OUTCOMES = ("kept", "rejected", "duplicate", "sampled_out")


@dataclass(frozen=True)
class _Instruments:
    runs: Counter
    run_seconds: Histogram
    rows: Counter
    gpu_hours: Counter
    endpoint_hours: Counter
    saved_usd: Counter
    sweeps: Counter
    orphan_endpoints: _Gauge


def run_received(run: Run) -> None:
    """Count a run that was just recorded, and, when it was refused at once, that as well."""
    for line in run.history:
        _count(run, line)


def run_moved(run: Run) -> None:
    """Count a run's newest transition, and what became certain with it. Called once, when it is recorded."""
    line, told = run.history[-1], _instruments()
    _count(run, line)
    if _rows_are_certain(run, line):
        for outcome in _OUTCOMES:
            told.rows.add(run.rows.get(f"rows_{outcome}", 0), {"project": run.project, "outcome": outcome})
    if line.from_state == RunState.TRAINING:
        told.gpu_hours.add(_gpu_hours(run, line), {"project": run.project})
    if line.from_state in _SERVING and line.to_state not in _SERVING:
        told.endpoint_hours.add(_endpoint_hours(run, line), {"project": run.project})


def sweep_done(
    *, trigger: str, outcome: str, dry_run: bool = False, orphans: int | None = None, saved_usd: float = 0.0
) -> None:
    """Tell of a sweep that has ended.

    Args: outcome: ok, errors (some endpoints could not be judged) or failed (the pass itself). orphans: endpoints of
    this app that no run owns; None: not known. saved_usd: what the removals of this sweep save, as its ledger says.
    """
    told = _instruments()
    told.sweeps.add(1, {"trigger": trigger, "outcome": outcome, "dry_run": dry_run})
    if orphans is not None:
        told.orphan_endpoints.set(orphans)
    if saved_usd > 0 and not dry_run:
        told.saved_usd.add(saved_usd)


def _count(run: Run, line: Transition) -> None:
    told = _instruments()
    told.runs.add(1, {"project": run.project, "state": line.to_state.value})
    if line.from_state is not None and line.lasted_s is not None:
        told.run_seconds.record(line.lasted_s, {"project": run.project, "state": line.from_state.value})


def _rows_are_certain(run: Run, line: Transition) -> bool:
    """Tell whether this transition is the one, of all that a run may make, at which its rows count."""
    if run.prepared_by == PreparedBy.JOB:
        return line.from_state == RunState.TRAINING and line.to_state in _AS_TRAINED
    return line.from_state == RunState.PREPARING and line.to_state in _AS_PREPARED


def _gpu_hours(run: Run, line: Transition) -> float:
    """Return the hours of the job that has just ended, over all GPUs of all its nodes."""
    spell = run.costs.of(What.TRAINING, str(run.job_name))
    if spell is None or run.plan is None:
        return 0.0
    return spell.hours(line.at) * spell.machines * run.plan.gpus_per_node


def _endpoint_hours(run: Run, line: Transition) -> float:
    """Return the instance hours of the time that has just ended; earlier times were counted at their own end."""
    name = f"{run.endpoint}/{run.deployment}"
    spell = run.costs.of(What.ENDPOINT, name)
    if spell is None:
        return 0.0
    ended_at = spell.ended_at or line.at
    return max(0.0, (ended_at - spell.started_at).total_seconds() / 3600) * spell.machines


@lru_cache(maxsize=1)
def _instruments() -> _Instruments:
    from opentelemetry import metrics

    meter = metrics.get_meter("finetune")
    return _Instruments(
        runs=meter.create_counter("finetune.runs", "{run}", "Runs that came into a state"),
        run_seconds=meter.create_histogram("finetune.run_seconds", "s", "How long runs were in the state they left"),
        rows=meter.create_counter("finetune.rows", "{row}", "Rows of datasets, by what became of them"),
        gpu_hours=meter.create_counter("finetune.gpu_hours", "h", "Hours of GPUs that training took"),
        endpoint_hours=meter.create_counter("finetune.endpoint_hours", "h", "Hours of instances that served"),
        saved_usd=meter.create_counter("finetune.saved_usd", "USD", "What removed endpoints would have cost"),
        sweeps=meter.create_counter("finetune.sweeps", "{sweep}", "Passes of the idle-endpoint cleanup"),
        orphan_endpoints=meter.create_gauge(
            "finetune.orphan_endpoints", "{endpoint}", "Endpoints of this app that no run owns, at the last sweep"
        ),
    )
