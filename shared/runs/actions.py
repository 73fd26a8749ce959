"""What a person may do to a run. Each refuses, with a reason, what makes no sense; asking twice is asking once."""

from __future__ import annotations

import contextlib

from shared.errors import ActionRefusedError, LeaseLostError, RunBusyError
from shared.runs.lifecycle import advance
from shared.runs.record import MOVING, RETRY_FROM, Run, RunState
from shared.runs.status import write_status
from shared.services import Services


def cancel(services: Services, run_id: str) -> Run:
    """Cancel a run that has not ended; its job, endpoint and deployment go.

    Raises: RunNotFoundError; ActionRefusedError: it has ended, or it is live.
    """
    run = services.store.get(run_id)
    if run.state == RunState.CANCELLED:
        return run
    if run.state == RunState.LIVE:
        raise ActionRefusedError(f"Run {run_id} is live. DELETE /api/endpoints/{run.endpoint} removes its endpoint.")
    if run.state == RunState.HELD:
        return _cancel_held(services, run_id)
    if run.state not in MOVING:
        raise ActionRefusedError(f"Run {run_id} is {run.state}: there is nothing to cancel.")
    run = services.store.request_cancel(run_id)
    # Carried out at once when nobody else is at the run; otherwise that worker, or the timer, does it.
    with contextlib.suppress(RunBusyError, LeaseLostError):
        run = advance(services, run_id, trigger="http")
    return run


def retry(services: Services, run_id: str) -> Run:
    """Continue a failed run from the step that failed; the timer moves it on.

    Raises: RunNotFoundError; RunBusyError; ActionRefusedError: it has not failed, or a retry cannot help.
    """
    with services.store.claim(run_id) as claim:
        run = claim.run
        if run.state in MOVING:
            return run
        if run.state != RunState.FAILED or run.failure is None:
            raise ActionRefusedError(f"Run {run_id} is {run.state}: only a failed run can be retried.")
        if not run.failure.retry_helps:
            raise ActionRefusedError(
                f"A retry of run {run_id} cannot help ({run.failure.reason}): {run.failure.message} "
                "Correct the dataset or the options and upload again: that makes a new run."
            )
        if run.job_status is not None and RETRY_FROM[run.failure.state] == RunState.PREPARED:
            run.job_retries += 1  # the job's name is used up
        run.move(
            RETRY_FROM[run.failure.state],
            now=services.now(),
            trigger="http",
            reason=f"retry after {run.failure.reason} in {run.failure.state}",
        )
        run.failure = None
        run.cancel_requested = False
        run.asked = True
    write_status(services, run)
    services.notifier.run_state_changed(run)
    return run


def _cancel_held(services: Services, run_id: str) -> Run:
    with services.store.claim(run_id) as claim:
        if claim.run.state == RunState.HELD:
            claim.run.move(RunState.CANCELLED, now=services.now(), trigger="http", reason="cancelled by request")
    write_status(services, claim.run)
    services.notifier.run_state_changed(claim.run)
    return claim.run
