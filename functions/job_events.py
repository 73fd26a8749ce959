"""A job changed its status: look at its run again."""

from __future__ import annotations

import contextlib
import logging

import azure.functions as func

from functions.observed import observed
from functions.parsing import job_of
from shared.errors import LeaseLostError, RunBusyError, RunNotFoundError
from shared.runs.lifecycle import advance
from shared.runs.names import run_id_of_job
from shared.services import services

bp = func.Blueprint()
_log = logging.getLogger(__name__)


@bp.event_grid_trigger(arg_name="event")
@observed("job-event", delivery_id=lambda event: event.id)
def job_event(event: func.EventGridEvent) -> None:
    """Move the job's run on. Child runs, and runs that others submitted, are none of ours.

    Idempotency: the event only says "look again"; what it says of the status is not believed.
    """
    job_name = job_of(event)
    run_id = run_id_of_job(job_name) if job_name else None
    if run_id is None:
        return
    # Not found: somebody else's job. Busy: whoever is at the run, or the timer after it, sees the job's status too.
    with contextlib.suppress(RunNotFoundError, RunBusyError, LeaseLostError):
        advance(services(), run_id, trigger="job-event")
