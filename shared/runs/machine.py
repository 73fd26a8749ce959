"""What the outcome of a step, or its trouble, does to a run. No Azure, no storage, no clock of its own.

The one place that decides whether a run moves, waits, tries again, is held or ends. `shared.runs.lifecycle` does the
steps and saves; a test with a model of this module alone can therefore play every life that a run may have.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from shared import typed
from shared.dataset import DatasetRejectedError
from shared.errors import (
    ConflictError,
    DatasetGoneError,
    DatasetOptionsError,
    JobCancelledError,
    JobFailedError,
    OutOfAttemptsError,
    OverBudgetError,
    QueuedTooLongError,
    ResourceGoneError,
    StateTooLongError,
    StepError,
    TrainingTooLongError,
    TransientError,
    WorkerDiedError,
)
from shared.runs.context import Held, Moved, Outcome, Waiting
from shared.runs.deploy_options import PATIENCE, DeployOptions
from shared.runs.parts import Failure, Hold
from shared.runs.record import Run, wants_work
from shared.runs.states import MOVING, RunState
from shared.settings import Settings

MAX_ATTEMPTS, TROUBLE_FOR = 30, timedelta(hours=2)
"""A run is given up when both are exceeded: events make attempts quick, and an hour's outage must end no run."""
MOST_CRASHES, CRASHES_FOR = 8, timedelta(minutes=15)
"""As many workers in a row, over so long a time: a host that is restarted a few times is no fault of the run."""
LOOKS_AT_CONFLICT = 3
"""What is taken may be the run's own, made by a request whose answer was lost: the step looks again before it fails."""
CLEAN_UP_FOR = timedelta(days=7)
"""What may bill is not given up as long as there is hope: a workspace is away for a day, rarely for a week."""
OUT_OF_SIGHT_FOR = timedelta(days=1)
"""How much longer than it may train a run is waited for when its job cannot be looked at."""
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = timedelta(seconds=5), timedelta(minutes=10), timedelta(hours=1)
_WORKING_STATE, _QUOTA_STATE = timedelta(hours=6), timedelta(days=7)

Trouble = DatasetRejectedError | TransientError | StepError


class Todo(Enum):
    """What the app has to do for a run now."""

    NOTHING = auto()
    STEP = auto()
    CLEAN_UP = auto()


@dataclass(frozen=True)
class Limits:
    """How long a run may stay in a state by itself. A state that is not named costs nothing: its end is a person's."""

    longest: Mapping[RunState, timedelta]
    training: timedelta


def limits_of(run: Run, settings: Settings) -> Limits:
    """Return the limits of one run. Waiting for a turn (received, registered) costs nothing and has none."""
    training = settings.max_training_time
    deploy = typed.convert(run.options.get("deploy", {}), DeployOptions, strict=False)
    baking = (deploy.bake + PATIENCE) * len(deploy.steps) if deploy.is_blue_green else timedelta()
    return Limits(
        longest={
            RunState.PREPARING: _WORKING_STATE,
            # Cores that others use now may take days to come free, and waiting for them costs nothing.
            RunState.PREPARED: _QUOTA_STATE,
            # In the queue, then at work, then out of sight; the step itself ends it earlier.
            RunState.TRAINING: 2 * training + OUT_OF_SIGHT_FOR,
            RunState.TRAINED: _WORKING_STATE,
            # Another run's rollout at the same endpoint may come first.
            RunState.DEPLOYING: _WORKING_STATE + 2 * baking,
            RunState.VERIFYING: _WORKING_STATE + 2 * baking,
        },
        training=training,
    )


def todo(run: Run) -> Todo:
    """Return what there is to do. A wish to cancel comes before everything else."""
    if not wants_work(run):
        return Todo.NOTHING
    if run.cancel_requested or run.ending is not None:
        return Todo.CLEAN_UP
    return Todo.STEP


def may_ask(run: Run, now: datetime) -> bool:
    """Tell whether Azure may be asked now: not before the time it has named itself, unless a person cancels."""
    waits = run.asked_to_wait and run.next_attempt_at is not None and run.next_attempt_at > now
    return run.cancel_requested or not waits


def after_step(run: Run, result: Outcome | Trouble, *, now: datetime, trigger: str, limits: Limits) -> bool:
    """Let a step's result have its effect. Returns: whether there is more to do at once."""
    if run.cancel_requested:
        return True  # it wins over whatever the step has found
    if isinstance(result, Waiting):
        return _wait(run, result, now, limits)
    if isinstance(result, Moved):
        run.move(result.to, now=now, trigger=trigger, reason=result.reason)
        return True
    if isinstance(result, Held):
        run.hold = Hold(state=run.state, reason=result.reason, message=result.message)
        run.move(RunState.HELD, now=now, trigger=trigger, reason=result.message)
        return True
    if isinstance(result, DatasetRejectedError):
        run.failure = Failure(state=run.state, reason="dataset", message=str(result), retry_helps=False)
        run.move(RunState.REJECTED, now=now, trigger=trigger, reason=str(result))
        return True
    if isinstance(result, TransientError):
        return _try_later(run, result, now, limits)
    return _fail(run, result, now, limits)


def after_clean_up(run: Run, trouble: TransientError | StepError | None, *, now: datetime, trigger: str) -> bool:
    """End a run when what would go on billing has begun to go. Returns: whether there is more to do at once."""
    if trouble is not None:
        run.attempts += 1
        run.trouble_since = run.trouble_since or now
        if now - run.trouble_since < CLEAN_UP_FOR:
            _pause(run, trouble, now, f"cleaning up: {trouble}")
            return False
        _say_what_may_be_left(run, str(trouble))
    _end(run, now, trigger)
    return True


def after_crashes(run: Run, *, now: datetime, trigger: str, limits: Limits) -> None:
    """Give a run up, or its cleaning up, when one worker after the other has died of it."""
    if run.crashes < MOST_CRASHES or run.trouble_since is None or now - run.trouble_since < CRASHES_FOR:
        return
    what = todo(run)
    if what == Todo.CLEAN_UP:
        _say_what_may_be_left(run, f"{run.crashes} workers in a row died while they cleaned up.")
        _end(run, now, trigger)
    elif what == Todo.STEP and (run.state != RunState.TRAINING or _is_out_of_sight(run, now, limits)):
        _decide(
            run,
            WorkerDiedError(
                f"{run.crashes} workers in a row ended without a word while the run was {run.state}: out of memory, "
                "out of time, or killed. See the app's log. A large dataset is prepared in the job if "
                "PREPARE_IN_FUNCTION_MAX_MB is lower than its size."
            ),
        )


def after_pass(run: Run) -> None:
    """The worker comes home: whatever the run has met with, it did not die of it."""
    run.crashes = 0
    if run.attempts == 0:
        run.trouble_since = None


def pause_after(attempts: int, asked_for: timedelta | None = None) -> timedelta:
    """Return how long to wait before the next attempt: exponential with jitter; what Azure asked for, and a bit."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * int(2 ** min(attempts, 20)))
    pause: timedelta = longest * random.uniform(0.5, 1)
    if asked_for is None:
        return pause
    # Not all at the very moment that Azure named, when many were asked to wait.
    asked: timedelta = min(asked_for, LONGEST_ASKED) * random.uniform(1, 1.1)
    return max(pause, asked)


def is_over(fault: StepError) -> bool:
    """Tell whether a fault means that a training run's job has ended; any other one only means that it was not seen."""
    too_much = TrainingTooLongError | QueuedTooLongError | OverBudgetError | StateTooLongError
    ends = JobFailedError | JobCancelledError | ResourceGoneError | DatasetGoneError | DatasetOptionsError
    return isinstance(fault, too_much | ends)


def _wait(run: Run, waiting: Waiting, now: datetime, limits: Limits) -> bool:
    if _is_too_long(run, now, limits):
        return _decide(run, _too_long(run, now, f"it still waited for {waiting.for_what}"))
    run.got_on()
    run.waiting_for = waiting.for_what
    run.next_attempt_at = now + waiting.again_in if waiting.again_in else None
    return False


def _try_later(run: Run, trouble: TransientError, now: datetime, limits: Limits) -> bool:
    run.attempts += 1
    run.trouble_since = run.trouble_since or now
    # A job that trains is not given up because it could not be looked at; only the time that it may take ends it.
    in_training = run.state == RunState.TRAINING
    if _is_too_long(run, now, limits) or (in_training and _is_out_of_sight(run, now, limits)):
        return _decide(run, _too_long(run, now, f"the last trouble was: {trouble}"))
    is_enough = run.attempts >= MAX_ATTEMPTS and now - run.trouble_since >= TROUBLE_FOR
    if is_enough and not in_training:
        return _decide(run, OutOfAttemptsError(f"Tried {run.attempts} times; the last trouble was: {trouble}"))
    _pause(run, trouble, now, str(trouble))
    return False


def _pause(run: Run, trouble: Exception, now: datetime, waiting_for: str) -> None:
    asked_for = getattr(trouble, "retry_after", None)
    run.waiting_for = waiting_for
    run.next_attempt_at = now + pause_after(run.attempts, asked_for)
    run.asked_to_wait = asked_for is not None


def _fail(run: Run, fault: StepError, now: datetime, limits: Limits) -> bool:
    looks_again = isinstance(fault, ConflictError) and run.attempts < LOOKS_AT_CONFLICT
    if looks_again or (run.state == RunState.TRAINING and not is_over(fault)):
        return _try_later(run, TransientError(str(fault)), now, limits)
    return _decide(run, fault)


def _decide(run: Run, fault: StepError) -> bool:
    """Decide that the run fails; it does when what would go on billing has begun to go."""
    run.got_on()
    run.ending = Failure(state=run.state, reason=fault.reason, message=str(fault), retry_helps=fault.retry_helps)
    return True


def _end(run: Run, now: datetime, trigger: str) -> None:
    """End as failed, cancelled, or, when it was live already, retired."""
    if run.ending is not None and run.state in MOVING:
        run.failure, run.ending = run.ending, None
        run.move(RunState.FAILED, now=now, trigger=trigger, reason=run.failure.message)
    elif run.state == RunState.LIVE:
        run.move(RunState.RETIRED, now=now, trigger=trigger, reason="cancelled by request")
        run.tell_endpoint_retired("cancelled by request", now=now)
    else:
        run.move(RunState.CANCELLED, now=now, trigger=trigger, reason=run.cancel_reason or "cancelled by request")


def _say_what_may_be_left(run: Run, why: str) -> None:
    run.note(f"Not removed from Azure: {why} Look for job {run.job_name} and endpoint {run.endpoint} by hand.")


def _is_too_long(run: Run, now: datetime, limits: Limits) -> bool:
    longest = limits.longest.get(run.state)
    return longest is not None and now - run.state_since > longest


def _is_out_of_sight(run: Run, now: datetime, limits: Limits) -> bool:
    """Tell whether a job that cannot be looked at has had its time, and a day on top: it may be at work, and cost."""
    return now - (run.job_queued_at or run.state_since) > limits.training + OUT_OF_SIGHT_FOR


def _too_long(run: Run, now: datetime, what: str) -> StepError:
    lasted = timedelta(seconds=round((now - run.state_since).total_seconds()))
    message = f"After {lasted} the run was still {run.state}: {what}"
    if run.state == RunState.TRAINING:
        return TrainingTooLongError(f"{message}. Its job {run.job_name} is cancelled, because it may cost.")
    return StateTooLongError(f"{message}. A retry goes on from there.", run.state)
