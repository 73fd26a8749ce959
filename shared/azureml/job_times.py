"""For how long a job has held machines: read from the run history, step by step.

A pipeline runs as soon as it was taken in; its steps wait for machines, and only then run on them, and are paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.azureml.dataplane import DataPlane


@dataclass(frozen=True)
class JobTimes:
    """hours: of the steps that are over, added up. running_since: when the step that runs now began; None: none does.
    ended_at: the end of the job."""

    hours: float
    running_since: datetime | None
    ended_at: datetime | None


def times_of(plane: DataPlane, job: str, *, without: str) -> JobTimes:
    """Ask for a job's times. `without`: a step that is not counted. Raises: TransientError, StepErrors."""
    return add_up(plane.run(job), plane.steps(job), without=without)


def add_up(run: Mapping[str, Any], below: list[dict[str, Any]], *, without: str) -> JobTimes:
    """Add a job's steps up. What lies between the job and its steps holds no machine; a step that is reused neither."""
    parents = {step.get("parentRunId") for step in below}
    hours, running = 0.0, list[datetime]()
    for step in below:
        started_at, ended_at = _time(step.get("startTimeUtc")), _time(step.get("endTimeUtc"))
        if step.get("runId") in parents or step.get("displayName") == without or started_at is None:
            continue
        if ended_at is None:
            running.append(started_at)
        else:
            hours += max(0.0, (ended_at - started_at).total_seconds() / 3600)
    return JobTimes(hours, min(running, default=None), _time(run.get("endTimeUtc")))


def _time(text: object) -> datetime | None:
    """Read a time of the run history: 2023-02-12T04:58:36.9345759+00:00."""
    try:
        found = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return found and (found if found.tzinfo else found.replace(tzinfo=UTC))
