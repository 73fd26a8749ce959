"""advance: look at what is recorded and at what Azure says, do the next step, record it.

Events are hints and state is the truth: a lost, doubled, late or reordered event changes nothing but the time it takes.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared.azureml.trouble import understood
from shared.dataset import DatasetRejectedError
from shared.errors import FinetuneError, LeaseLostError, OutOfAttemptsError, RunBusyError, StepError, TransientError
from shared.runs.context import CancelRequestedError, Context, Moved, Waiting
from shared.runs.record import MOVING, Failure, Run, RunState, wants_work
from shared.runs.status import write_status
from shared.runs.steps import STEPS, clean_up, is_over, stop_straggler
from shared.services import Services

MAX_ATTEMPTS = 30
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)
WORKERS = 8
_log = logging.getLogger(__name__)


def advance(services: Services, run_id: str, *, trigger: str) -> Run:
    """Move a run on as far as it goes now, and return it.

    Idempotency: the run's row is claimed first; a second delivery finds it busy or further on.
    Raises: RunNotFoundError; RunBusyError: another worker is at it; LeaseLostError: another one took it over.
    """
    with services.store.claim(run_id) as claim:
        context = Context(claim, services)
        if claim.run.state in (RunState.FAILED, RunState.CANCELLED):
            _stop_straggler(context)
        while wants_work(claim.run) and _step(context, trigger):
            pass
    return claim.run


def _stop_straggler(context: Context) -> None:
    """A submit that took very long may have made a job after its run had ended: its event leads here."""
    try:
        with understood(f"cleaning up after run {context.run.id}"):
            stop_straggler(context)
    except (TransientError, StepError) as trouble:
        _log.warning("run %s: %s", context.run.id, trouble)


def advance_all(services: Services, *, trigger: str) -> Sequence[str]:
    """Move on every run that is due, a few at a time. Returns the ids of the runs that were looked at."""
    due = services.store.due(services.now())
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        list(pool.map(lambda run_id: _advance_quietly(services, run_id, trigger), due))
    return due


def pause_after(attempts: int, asked_for: timedelta | None = None) -> timedelta:
    """Return how long to wait before the next attempt: exponential with jitter, at least what Azure asked for."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * int(2 ** min(attempts, 20)))
    pause: timedelta = longest * random.uniform(0.5, 1)
    return max(pause, asked_for or timedelta())


def _advance_quietly(services: Services, run_id: str, trigger: str) -> None:
    try:
        advance(services, run_id, trigger=trigger)
    except (RunBusyError, LeaseLostError) as busy:
        _log.info("%s", busy)
    except Exception:  # noqa: BLE001 - logged with its traceback
        # One run's trouble must not keep the others from moving on; its lease runs out and it is tried again.
        _log.exception("run %s could not be moved on", run_id)


def _step(context: Context, trigger: str) -> bool:
    """Do one step and record what came of it. Returns whether there is more to do now."""
    run = context.run
    if run.cancel_requested or run.ending is not None:
        return _finish(context, trigger)
    try:
        outcome = _outcome(context)
    except (LeaseLostError, RunBusyError):
        raise
    except CancelRequestedError:
        return True
    except DatasetRejectedError as rejected:
        run.failure = Failure(state=run.state, reason="dataset", message=str(rejected), retry_helps=False)
        _move(context, RunState.REJECTED, trigger, str(rejected))
    except TransientError as trouble:
        return _try_later(context, trouble)
    except StepError as fault:
        return _fail(context, fault)
    else:
        if isinstance(outcome, Waiting):
            return _wait(context, outcome)
        # A wish to cancel may have come while the step was at work; it is seen before anything goes live.
        context.save()
        if not run.cancel_requested:
            _move(context, outcome.to, trigger, outcome.reason)
    return True


def _outcome(context: Context) -> Moved | Waiting:
    """Do the state's step. Raises: StepError, TransientError: everything that is expected to go wrong."""
    run = context.run
    try:
        with understood(f"run {run.id}, {run.state}"):
            return STEPS[run.state](context)
    except (FinetuneError, DatasetRejectedError, CancelRequestedError):
        raise
    except Exception as fault:
        # A fault of this program must neither lose the run nor try for ever.
        _log.exception("run %s, %s: unexpected", run.id, run.state)
        raise TransientError(f"unexpected {type(fault).__name__}; see the app's log") from fault


def _wait(context: Context, outcome: Waiting) -> bool:
    run = context.run
    is_news = run.waiting_for != outcome.for_what
    run.waiting_for, run.attempts, run.next_attempt_at = outcome.for_what, 0, None
    if is_news:
        context.save()
        write_status(context.services, run)
    return False


def _try_later(context: Context, trouble: TransientError) -> bool:
    run = context.run
    run.attempts += 1
    # A job that trains is not given up because it could not be looked at: its own deadline ends it.
    if run.attempts >= MAX_ATTEMPTS and run.state != RunState.TRAINING:
        return _fail(context, OutOfAttemptsError(f"Tried {run.attempts} times; the last trouble was: {trouble}"))
    _pause(context, trouble, str(trouble))
    return False


def _pause(context: Context, trouble: Exception, waiting_for: str) -> None:
    run = context.run
    run.waiting_for = waiting_for
    run.next_attempt_at = context.now + pause_after(run.attempts, getattr(trouble, "retry_after", None))
    _log.info("run %s, %s: attempt %d: %s", run.id, run.state, run.attempts, waiting_for)
    context.save()
    write_status(context.services, run)


def _fail(context: Context, fault: StepError) -> bool:
    """Decide that the run fails; it does when what would go on billing has begun to go."""
    run = context.run
    if run.state == RunState.TRAINING and not is_over(fault):
        return _try_later(context, TransientError(str(fault)))
    run.ending = Failure(state=run.state, reason=fault.reason, message=str(fault), retry_helps=fault.retry_helps)
    run.attempts = 0
    return True


def _finish(context: Context, trigger: str) -> bool:
    """Clean up, then end: as cancelled, failed, or, when it was live already, retired."""
    run = context.run
    # Only as the holder of the lease: what an overtaken worker knows is old.
    context.save()
    try:
        with understood(f"cleaning up after run {run.id}"):
            clean_up(context)
    except (TransientError, StepError) as trouble:
        run.attempts += 1
        if run.attempts < MAX_ATTEMPTS:
            _pause(context, trouble, f"cleaning up: {trouble}")
            return False
        run.note(f"Not removed from Azure: {trouble} Look for job {run.job_name} and endpoint {run.endpoint} by hand.")
    if run.cancel_requested and run.ending is None:
        end = RunState.RETIRED if run.state == RunState.LIVE else RunState.CANCELLED
        _move(context, end, trigger, "cancelled by request")
    elif run.ending is not None:
        run.failure, run.ending = run.ending, None
        _move(context, RunState.FAILED, trigger, run.failure.message)
    return True


def _move(context: Context, to: RunState, trigger: str, reason: str) -> None:
    run, services = context.run, context.services
    before = run.state
    run.move(to, now=context.now, trigger=trigger, reason=reason)
    if to not in MOVING and to != RunState.LIVE:
        run.cancel_requested = False
    context.save()
    _log.info("run %s: %s -> %s (%s): %s", run.id, before, to, trigger, reason)
    write_status(services, run)
    services.notifier.run_state_changed(run)
