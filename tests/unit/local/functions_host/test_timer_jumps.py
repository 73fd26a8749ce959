"""Timers when the clock makes a jump: what became due fires once, late."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from local.functions_host.invocation import Call, Result
from local.functions_host.model import Function
from local.functions_host.schedules import Schedule
from local.functions_host.timer_status import TimerStatus
from local.functions_host.timers import Timer

START = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)


class Stage:
    """A timer with a clock, an engine and a store that are the test's own."""

    def __init__(self, schedule: str, during: Callable[["Stage"], None] | None = None) -> None:
        self.time, self.kept, self.fired = START, [], []  # type: ignore[var-annotated]
        self.during = during
        trigger = {"type": "timerTrigger", "name": "timer", "schedule": schedule}
        function = Function("tick", print, ".", (trigger,), trigger, {}, {}, False, False, None)
        self.timer = Timer(function, Schedule.parse(schedule), self, self, lambda: self.time)  # type: ignore[arg-type]

    def jump(self, by: timedelta) -> None:
        self.time += by
        self.timer.clock_moved()

    async def invoke(self, call: Call) -> Result:
        self.fired.append((self.time, json.loads(call.datum.value)["IsPastDue"]))
        if self.during:
            during, self.during = self.during, None
            during(self)
        return Result(True)

    def hold_lock(self) -> bool:
        return True

    def release_lock(self) -> None: ...

    def read(self) -> None: ...

    def write(self, status: TimerStatus) -> None:
        self.kept.append(status)


def play(stage: Stage, story: Callable[[], Awaitable[Any]]) -> None:
    async def told() -> None:
        running = asyncio.create_task(stage.timer.run())
        while not stage.kept:  # it has started when it has kept its first status
            await asyncio.sleep(0.01)
        await story()
        await asyncio.sleep(0.3)
        stage.timer.stop()
        await running

    asyncio.run(told())


def test_a_jump_over_many_occurrences_fires_once_as_past_due_and_the_status_goes_on_from_there() -> None:
    stage = Stage("0 */15 * * * *")

    async def story() -> None:
        stage.jump(timedelta(hours=9))

    play(stage, story)
    now = START + timedelta(hours=9)
    assert stage.fired == [(now, True)]
    assert stage.kept[-1] == TimerStatus(now, now + timedelta(minutes=14), now)


def test_a_jump_within_an_interval_fires_nothing() -> None:
    stage = Stage("01:00:00")

    async def story() -> None:
        stage.jump(timedelta(minutes=59))

    play(stage, story)
    assert stage.fired == []


def test_every_jump_over_an_occurrence_fires_once() -> None:
    stage = Stage("01:00:00")

    async def story() -> None:
        for _ in range(3):
            stage.jump(timedelta(hours=5))
            await asyncio.sleep(0.2)

    play(stage, story)
    assert [late for _, late in stage.fired] == [True] * 3


def test_a_jump_while_the_function_runs_fires_once_more_afterwards() -> None:
    stage = Stage("0 */15 * * * *", lambda stage: stage.jump(timedelta(hours=9)))

    async def story() -> None:
        stage.jump(timedelta(hours=1))

    play(stage, story)
    assert stage.fired == [(START + timedelta(hours=1), True), (START + timedelta(hours=10), True)]
