"""The clock: unfinished runs are moved on (events get lost), idle endpoints are removed."""

from __future__ import annotations

from contextlib import suppress

import azure.functions as func

from functions.observed import observed
from shared.errors import SweepBusyError
from shared.runs.lifecycle import advance_all
from shared.runs.reception import receive_missed
from shared.services import services
from shared.sweeps.sweep import sweep

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="%ADVANCE_SCHEDULE%")
@observed("timer")
def advance_runs(timer: func.TimerRequest) -> None:
    """Look at every unfinished run that is due."""
    advance_all(services(), trigger="timer")


@bp.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%")
@observed("timer")
def sweep_idle_endpoints(timer: func.TimerRequest) -> None:
    """Remove the endpoints that nobody uses, and pick up uploads that no event told of."""
    try:
        with suppress(SweepBusyError):  # somebody has started one by hand: it does what this one would
            sweep(services(), trigger="timer")
    finally:
        receive_missed(services())
