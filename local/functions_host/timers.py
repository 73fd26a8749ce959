"""Timer functions: fire on schedule, one run at a time, once for what was missed. Source: the Timers extension."""

import asyncio
import json
import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from azure.core.exceptions import AzureError
from azure.functions import meta

from local.functions_host.invocation import Call, Engine, Result
from local.functions_host.model import Function, RetryPolicy
from local.functions_host.schedules import Schedule
from local.functions_host.timer_status import LOCK_S, TimerStatus, TimerStore, at_start

log = logging.getLogger("host")


def local_now() -> datetime:
    """Return the time in the zone in which schedules are read: WEBSITE_TIME_ZONE, TZ, or the machine's."""
    for name in (os.environ.get("WEBSITE_TIME_ZONE"), os.environ.get("TZ")):
        with suppress(ZoneInfoNotFoundError, ValueError):  # TZ may also be a POSIX rule; the machine's zone obeys it
            if name:
                return datetime.now(ZoneInfo(name))
    return datetime.now().astimezone()


def timer_call(function: Function, status: TimerStatus | None, is_past_due: bool, reason: str) -> Call:
    document = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": status.document() if status else None,
        "IsPastDue": is_past_due,
    }
    return Call(function, meta.Datum(json.dumps(document), "json"), reason=reason)


class Timer:
    """One timer function. `run` ends after `stop`; a run under way is waited for by the engine's drain."""

    def __init__(
        self,
        function: Function,
        schedule: Schedule,
        engine: Engine,
        store: TimerStore,
        now: Callable[[], datetime] = local_now,
    ) -> None:
        self._function = function
        self._schedule = schedule
        self._engine = engine
        self._store = store
        self._now = now
        self._status: TimerStatus | None = None
        self._stop = asyncio.Event()
        self._clock_moved = asyncio.Event()

    @property
    def _is_monitored(self) -> bool:
        wanted = self._function.trigger.get("useMonitor")
        return wanted is not False and not self._schedule.is_too_frequent_to_monitor(self._now())

    def stop(self) -> None:
        self._stop.set()

    def clock_moved(self) -> None:
        """Look at the time anew: `now` has made a jump. Whatever became due fires once, as a timer that is late."""
        self._clock_moved.set()

    async def run(self) -> None:
        """Wait for the lock, then fire until stopped. Storage trouble is waited out."""
        while not self._stop.is_set():
            try:
                if await asyncio.to_thread(self._store.hold_lock):
                    await self._fire_while_locked()
            except AzureError as error:
                log.error("timer %s: the storage failed, trying again: %s", self._function.name, error)
            await self._sleep(1)
        with suppress(AzureError):
            await asyncio.to_thread(self._store.release_lock)

    async def _fire_while_locked(self) -> None:
        lost = asyncio.Event()
        keeper = asyncio.create_task(self._keep_lock(lost))
        try:
            self._clock_moved.clear()
            since = await self._at_start()
            while not self._stop.is_set() and not lost.is_set():
                is_late = await self._wait_until(self._schedule.after(since), lost)
                if not self._stop.is_set() and not lost.is_set():
                    moment = self._now()
                    await self._fire(moment, is_late, "timer, past due" if is_late else "timer")
                    # What a jump passed over while the function ran is due as well.
                    since = moment if self._clock_moved.is_set() else self._now()
        finally:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _wait_until(self, moment: datetime, lost: asyncio.Event) -> bool:
        """Wait until a moment has come, or until stopped; returns whether a jump of the clock passed over it."""
        while not self._stop.is_set() and not lost.is_set():
            has_jumped = self._clock_moved.is_set()
            self._clock_moved.clear()
            left = (moment - self._now()).total_seconds()
            if left <= 0:
                return has_jumped
            await self._sleep(left, lost, self._clock_moved)
        return False

    async def _at_start(self) -> datetime:
        """Fire what was missed while no host ran. Returns: the moment after which the next occurrence counts."""
        moment = self._now()
        is_past_due = False
        if self._is_monitored:
            kept = await asyncio.to_thread(self._store.read)
            status, is_past_due = at_start(kept, self._schedule, moment)
            if status != kept:
                await asyncio.to_thread(self._store.write, status)
            self._status = status
        if is_past_due:
            await self._fire(moment, True, "timer, past due")
        elif self._function.trigger.get("runOnStartup") in (True, "True", "true"):
            await self._fire(moment, False, "timer, at startup")
        return moment if self._clock_moved.is_set() else self._now()

    async def _fire(self, moment: datetime, is_past_due: bool, reason: str) -> None:
        call = timer_call(self._function, self._status if self._is_monitored else None, is_past_due, reason)
        await invoke_with_retries(self._engine, call, self._function.retry, self._stop)
        if self._is_monitored:  # also after a failure: a timer is not repeated
            self._status = TimerStatus(moment, self._schedule.after(moment), moment)
            await asyncio.to_thread(self._store.write, self._status)

    async def _keep_lock(self, lost: asyncio.Event) -> None:
        while not lost.is_set():
            await asyncio.sleep(LOCK_S / 3)
            try:
                if not await asyncio.to_thread(self._store.hold_lock):
                    lost.set()
            except AzureError as error:
                log.warning("timer %s: the lock could not be renewed: %s", self._function.name, error)

    async def _sleep(self, seconds: float, *also: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, *also)]
        await asyncio.wait(waits, timeout=max(0, seconds), return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()


async def invoke_with_retries(engine: Engine, call: Call, policy: RetryPolicy | None, stop: asyncio.Event) -> Result:
    """Invoke, and again after a failure as the function's retry policy says. Kept in memory only, as in the host."""
    result = await engine.invoke(call)
    count = 0
    while policy and not result.ok and (policy.max_retries < 0 or count < policy.max_retries):
        count += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), retry_delay(policy, count).total_seconds())
        if stop.is_set():
            break
        again = Call(call.function, call.datum, call.metadata, f"retry {count}", (count, policy.max_retries))
        result = await engine.invoke(again)
    return result


def retry_delay(policy: RetryPolicy, count: int) -> timedelta:
    if policy.strategy == "fixed_delay":
        return timedelta(seconds=policy.delay_s)
    # The host's backoff: twice as long each time, varied by a fifth, within the policy's limits.
    seconds = policy.minimum_s * 2 ** min(count - 1, 30) * random.uniform(0.8, 1.2)
    return timedelta(seconds=min(max(seconds, policy.minimum_s), policy.maximum_s))
