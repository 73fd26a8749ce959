"""advance: look at what is recorded and at what Azure says, do the next step, record it.

Events are hints and state is the truth: a lost, doubled, late or reordered event changes nothing but the time it takes.
What a step's outcome does to a run is decided in `shared.runs.machine`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from shared import telemetry
from shared.azureml.trouble import understood
from shared.dataset import DatasetRejectedError
from shared.errors import FinetuneError, LeaseLostError, RunBusyError, StepError, TransientError
from shared.runs import machine
from shared.runs.admission import give_turns
from shared.runs.announce import announce
from shared.runs.context import CancelRequestedError, Context, Held, Moved, Outcome
from shared.runs.machine import Todo, Trouble
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.runs.status import write_status
from shared.runs.steps import STEPS, clean_up, stop_straggler
from shared.services import Services

WORKERS = 8
TICK = timedelta(seconds=20)
_log = logging.getLogger(__name__)


def advance(services: Services, run_id: str, *, trigger: str) -> Run:
    """Move a run on as far as it goes now, and return it.

    Idempotency: the run's row is claimed first; a second delivery finds it busy or further on.
    Raises: RunNotFoundError; RunBusyError: another worker is at it; LeaseLostError: another one took it over.
    """
    with services.store.claim(run_id) as claim, telemetry.of_run(claim.run, trigger):
        context, run = Context(claim, services), claim.run
        if run.state in (RunState.FAILED, RunState.CANCELLED) and trigger != "timer":
            _stop_straggler(context)
        is_left_behind = run.crashes > 0
        limits = machine.limits_of(run, services.settings)
        machine.after_crashes(run, now=context.now, trigger=trigger, limits=limits)
        while machine.todo(run) != Todo.NOTHING and machine.may_ask(run, context.now):
            if not _go_on(context, trigger, limits):
                break
        services.notifier.publish(run)  # what an earlier worker, or a closed topic, has left
        if is_left_behind:
            write_status(services, run)  # whoever died may have written the row and nothing after it
        machine.after_pass(run)
    return run


def _go_on(context: Context, trigger: str, limits: machine.Limits) -> bool:
    if machine.todo(context.run) == Todo.CLEAN_UP:
        return _finish(context, trigger)
    return _step(context, trigger, limits)


def _stop_straggler(context: Context) -> None:
    """A submit that took very long may have made a job after its run had ended: its event leads here."""
    try:
        with understood(f"cleaning up after run {context.run.id}"):
            stop_straggler(context)
    except (TransientError, StepError) as trouble:
        _log.warning("run %s: %s", context.run.id, trouble)


def advance_all(services: Services, *, trigger: str) -> Sequence[str]:
    """Move on every run that is due, a few at a time, then those whose turn has come.

    Nothing is begun after TICK: the next tick goes on with those that were not looked at.
    Returns the ids of the runs that were looked at.
    """
    until = services.now() + TICK
    due = services.store.due(services.now())
    looked_at: list[str] = []

    def look(run_id: str) -> None:
        if services.now() < until:
            looked_at.append(run_id)
            _advance_quietly(services, run_id, trigger)

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        list(pool.map(telemetry.carried(look), due))
        while services.now() < until and (begins := set(_turns(services)) - set(looked_at)):
            list(pool.map(telemetry.carried(look), begins))
    return looked_at


def _turns(services: Services) -> Sequence[str]:
    try:
        with understood("giving turns"):
            return give_turns(services)
    except (TransientError, StepError) as trouble:
        _log.warning("%s", trouble)
        return []


def _advance_quietly(services: Services, run_id: str, trigger: str) -> None:
    with telemetry.about(run_id=run_id, trigger=trigger):
        try:
            advance(services, run_id, trigger=trigger)
        except (RunBusyError, LeaseLostError) as busy:
            _log.info("%s", busy)
        except Exception:  # noqa: BLE001 - logged with its traceback
            # One run's trouble must not keep the others from moving on; its lease runs out and it is tried again.
            _log.exception("run %s could not be moved on", run_id)


def _step(context: Context, trigger: str, limits: machine.Limits) -> bool:
    """Do one step and record what came of it. Returns whether there is more to do now."""
    run = context.run
    try:
        result = _result(context)
    except CancelRequestedError:
        return True
    if isinstance(result, Moved | Held):
        # A wish to cancel may have come while the step was at work; it is seen before anything goes live.
        context.save()
    return _record(
        context, trigger, lambda: machine.after_step(run, result, now=context.now, trigger=trigger, limits=limits)
    )


def _result(context: Context) -> Outcome | Trouble:
    """Do the state's step. Returns: its outcome, or the trouble it met with."""
    run = context.run
    try:
        with telemetry.span("step", state=run.state.value), understood(f"run {run.id}, {run.state}"):
            return STEPS[run.state](context)
    except (TransientError, StepError, DatasetRejectedError) as trouble:
        return trouble
    except RunBusyError as busy:
        return TransientError(str(busy))  # another run that this one has to do with
    except (FinetuneError, CancelRequestedError):
        raise
    except Exception as fault:  # noqa: BLE001 - logged with its traceback
        # A fault of this program must neither lose the run nor try for ever.
        _log.exception("run %s, %s: unexpected", run.id, run.state)
        return TransientError(f"unexpected {type(fault).__name__}; see the app's log")


def _finish(context: Context, trigger: str) -> bool:
    """Clean up, then end: as cancelled, failed, or, when it was live already, retired."""
    run = context.run
    # Only as the holder of the lease: what an overtaken worker knows is old.
    context.save()
    trouble: TransientError | StepError | None = None
    try:
        with understood(f"cleaning up after run {run.id}"):
            clean_up(context)
    except (TransientError, StepError) as met:
        trouble = met
    return _record(context, trigger, lambda: machine.after_clean_up(run, trouble, now=context.now, trigger=trigger))


def _record(context: Context, trigger: str, decide: Callable[[], bool]) -> bool:
    """Let the machine decide, and write down what is new: a transition with its events, trouble, what is waited for."""
    run = context.run
    before, waited_for = run.state, run.waiting_for
    goes_on = decide()
    if run.state != before:
        announce(context.services, context.claim)
        _log.info("run %s: %s -> %s (%s): %s", run.id, before, run.state, trigger, run.history[-1].reason)
    elif not goes_on and (run.attempts or run.waiting_for != waited_for):
        _log.info("run %s, %s: attempt %d: %s", run.id, run.state, run.attempts, run.waiting_for)
        context.save()
        write_status(context.services, run)
    return goes_on
