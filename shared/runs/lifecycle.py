"""advance: look at what is recorded and at what Azure says, do the next step, record it.

Events are hints and state is the truth: a lost, doubled, late or reordered event changes nothing but the time it takes.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec

from shared.azureml.trouble import understood
from shared.dataset import DatasetRejectedError
from shared.errors import LeaseLostError, OutOfAttemptsError, RunBusyError, StepError, TransientError
from shared.runs import names
from shared.runs.context import CancelRequestedError, Context, Moved, Waiting
from shared.runs.record import MOVING, Failure, Run, RunState
from shared.runs.steps import STEPS, clean_up
from shared.services import Services

MAX_ATTEMPTS = 30
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)
WORKERS = 8
_log = logging.getLogger(__name__)


def advance(services: Services, run_id: str, *, trigger: str) -> Run:
    """Move a run on as far as it goes now, and return it.

    Idempotency: the run's row is claimed first; a second delivery finds it busy or further on.
    Raises: RunNotFoundError; RunBusyError: another worker is at it.
    """
    with services.store.claim(run_id) as claim:
        context = Context(claim, services)
        while claim.run.state in MOVING and _step(context, trigger):
            pass
    return claim.run


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
    try:
        outcome = _cancel(context) if run.cancel_requested else _understood_step(context)
    except (LeaseLostError, RunBusyError):
        raise
    except CancelRequestedError:
        return True
    except DatasetRejectedError as rejected:
        _end(context, RunState.REJECTED, trigger, "dataset", str(rejected), retry_helps=False)
    except TransientError as trouble:
        return _try_later(context, trigger, trouble)
    except StepError as fault:
        return _fail(context, trigger, fault)
    except Exception as fault:  # noqa: BLE001 - logged with its traceback, recorded, bounded in attempts
        # A fault of this program must neither lose the run nor try for ever.
        _log.exception("run %s, %s: unexpected", run.id, run.state)
        return _try_later(context, trigger, TransientError(f"unexpected {type(fault).__name__}; see the app's log"))
    else:
        if isinstance(outcome, Waiting):
            run.waiting_for, run.attempts, run.next_attempt_at = outcome.for_what, 0, None
            return False
        _move(context, outcome.to, trigger, outcome.reason)
    return True


def _understood_step(context: Context) -> Moved | Waiting:
    run = context.run
    with understood(f"run {run.id}, {run.state}"):
        return STEPS[run.state](context)


def _cancel(context: Context) -> Moved | Waiting:
    clean_up(context)
    return Moved(RunState.CANCELLED, "cancelled by request")


def _try_later(context: Context, trigger: str, trouble: TransientError) -> bool:
    run = context.run
    run.attempts += 1
    if run.attempts >= MAX_ATTEMPTS and not run.cancel_requested:
        return _fail(
            context, trigger, OutOfAttemptsError(f"Tried {run.attempts} times; the last trouble was: {trouble}")
        )
    run.waiting_for = str(trouble)
    run.next_attempt_at = context.now + pause_after(run.attempts, trouble.retry_after)
    _log.info("run %s, %s: attempt %d: %s", run.id, run.state, run.attempts, trouble)
    return False


def _fail(context: Context, trigger: str, fault: StepError) -> bool:
    """Record a failure, after what would go on billing has begun to go."""
    try:
        clean_up(context)
    except TransientError as trouble:
        return _try_later_to_clean(context, trouble)
    except StepError as second:
        context.run.note(f"What the run left in Azure could not be removed: {second}. The sweep tries again.")
    _end(context, RunState.FAILED, trigger, fault.reason, str(fault), retry_helps=fault.retry_helps)
    return True


def _try_later_to_clean(context: Context, trouble: TransientError) -> bool:
    context.run.waiting_for = f"cleaning up: {trouble}"
    context.run.next_attempt_at = context.now + pause_after(1, trouble.retry_after)
    return False


def _end(context: Context, to: RunState, trigger: str, reason: str, message: str, *, retry_helps: bool) -> None:
    run = context.run
    run.failure = Failure(state=run.state, reason=reason, message=message, retry_helps=retry_helps)
    _move(context, to, trigger, message)


def _move(context: Context, to: RunState, trigger: str, reason: str) -> None:
    run, services = context.run, context.services
    before = run.state
    run.move(to, now=context.now, trigger=trigger, reason=reason)
    context.save()
    _log.info("run %s: %s -> %s (%s): %s", run.id, before, to, trigger, reason)
    write_status(services, run)
    services.notifier.run_state_changed(run)


def write_status(services: Services, run: Run) -> None:
    """Keep `runs/{run id}/status.json` up to date, for people who have only the storage account. Never stops a run."""
    from azure.core.exceptions import AzureError

    try:
        data = msgspec.json.format(msgspec.json.encode(run))
        services.blobs.write_small(names.RUNS, f"{run.id}/status.json", data)
    except AzureError as fault:
        _log.warning("run %s: status.json was not written: %s", run.id, type(fault).__name__)
