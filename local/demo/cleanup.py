"""The end of the story: hours pass, the timer warns of the idle endpoint, removes it, and counts what that saved."""

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from local import clock_command, watch
from local.clock import clock_of
from local.demo.api import ApiError, App
from local.demo.patience import Patience
from local.demo.prices import HOURS, USD_PER_HOUR_HERE, phi4
from local.demo.report import states
from local.demo.story import Story
from local.stack import Stack
from local.sweeps import overview

SETTINGS = {
    # The app's own defaults, whatever the shell of the person has: the clock can be moved, so nothing is shortened.
    "IDLE_AFTER": "8h",
    "IDLE_GRACE": "1h",
    "IDLE_WARN_FOR": "1h",
    "IDLE_ACTION": "delete_endpoint",
    "BUSINESS_HOURS": "",
    "BLACKOUT_WINDOWS": "",
    "SWEEP_SCOPE": "app",
    "SWEEP_SCHEDULE": "0 */15 * * * *",
    # The app's table has machines with GPUs only.
    "PRICES": json.dumps(USD_PER_HOUR_HERE),
}
AWAY = timedelta(hours=9)
_A_LITTLE = timedelta(minutes=1)
_BY_HAND_AFTER_S, _BY_HAND_EVERY_S = 30, 15


class Cleanup:
    """Lets the time pass for one live run, and tells what the timer makes of its endpoint."""

    def __init__(self, story: Story, stack: Stack, app: App, patience: Patience) -> None:
        self._story, self._stack, self._app, self._patience = story, stack, app, patience

    def play(self, run: dict[str, Any]) -> dict[str, Any]:
        """Play until the endpoint is gone. Returns what the report has of it."""
        act_after, warned_at = self._warned(run)
        now = self._removed(run, act_after)
        usd_per_month = self._a_month_later(now)
        return {
            "endpoint_removed": True,
            "warned_at": warned_at,
            "removed_at": now["removal"]["at"],
            "usd_per_month_phi4": usd_per_month,
            "states": states(now),
        }

    def _warned(self, run: dict[str, Any]) -> tuple[datetime, str]:
        """Returns when the endpoint will be removed, and when that was said."""
        self._story.chapter(f"Nobody asks any more. {AWAY // timedelta(hours=1)} hours later: the timer warns")
        moved = self._advance(AWAY)
        one = self._swept(run["endpoint"], "warned", moved)
        self._story.say(f"warned ({one['trigger']}): {one['reason']}")
        act_after = datetime.fromisoformat(one["act_after"])
        self._story.say(
            f"The first sweep after {act_after.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC removes it, unless somebody asks "
            f"it before. An hour of it costs {_usd(one['usd_per_hour'])} in Azure, and nothing on this machine."
        )
        event = self._patience.until(lambda: self._event(run["endpoint"]), "the event EndpointWarned")
        self._story.say("A subscriber of the app's events has got this one:")
        self._story.lines(json.dumps(event, indent=2))
        return act_after, event["time"]

    def _removed(self, run: dict[str, Any], act_after: datetime) -> dict[str, Any]:
        self._story.chapter("An hour later: still nobody has asked, and the timer removes it")
        moved = self._advance(act_after - self._now() + _A_LITTLE)
        one = self._swept(run["endpoint"], "removed", moved)
        self._story.say(f"removed ({one['trigger']}): {one['reason']}")

        def retired() -> dict[str, Any] | None:
            now: dict[str, Any] = self._app.get(f"runs/{run['id']}")
            there = [endpoint["name"] for endpoint in self._app.get("endpoints")["value"]]
            self._story.progress(f"{now['state']}; endpoints in Azure ML: {', '.join(there) or 'none'}")
            return now if now["state"] == "retired" and now["endpoint"] not in there else None

        now = self._patience.until(retired, f"endpoint {run['endpoint']} to be removed")
        self._story.say(f"Endpoint {run['endpoint']} is gone from Azure ML; its run is retired, its model registered.")
        self._story.say("One call brings it back under its name, and trains nothing:")
        self._story.lines(now["removal"]["bring_back"])
        return now

    def _a_month_later(self, run: dict[str, Any]) -> float:
        """Returns what a month of an endpoint with Phi-4 costs, which is what removing one saves."""
        self._story.chapter("A month later: what it would have cost, had it been left running")
        moved = self._advance(timedelta(hours=HOURS))
        sweep = self._patience.until(lambda: self._finished(moved), "one more sweep")
        size, price = run["removal"]["instance_type"], phi4()
        usd_per_month = round(price.usd_per_hour * HOURS, 2)
        self._story.say(
            f"This endpoint: {_usd(sweep['saved_usd'])} by the app's own count, for 30 days of a {size} in Azure."
        )
        self._story.say(
            f"One with Phi-4: {_usd(usd_per_month)}. It needs a GPU, at least a {price.size}: "
            f"{_usd(price.usd_per_hour)} an hour, used or not (list price, {price.region}, {price.as_of})."
        )
        self._story.say("All sweeps, as `python -m local sweeps` lists them:")
        self._story.lines(overview(self._app.get("sweeps")["value"]))
        return usd_per_month

    def _advance(self, by: timedelta) -> datetime:
        env, urls = self._stack.env, self._stack.urls
        moved = clock_command.move({"state_dir": str(self._stack.state_dir), "env": env, "urls": urls}, by)
        self._story.say(f"The clock of all that runs here is put forward: it is {moved:%Y-%m-%d %H:%M:%S} UTC.")
        return moved

    def _now(self) -> datetime:
        return clock_of(self._stack.state_dir).now()

    def _swept(self, endpoint: str, action: str, since: datetime) -> dict[str, Any]:
        """Wait until a sweep has done something about an endpoint; returns what it found of it, and its trigger."""
        by_hand_at = time.monotonic() + _BY_HAND_AFTER_S

        def found() -> dict[str, Any] | None:
            nonlocal by_hand_at
            if (sweep := self._finished(since)) is not None:
                for one in self._app.get(f"sweeps/{sweep['id']}")["endpoints"]:
                    if one["name"] == endpoint and one["action"] == action:
                        return {**one, "trigger": sweep["trigger"]}
            if time.monotonic() > by_hand_at:  # figures came late; the timer's next turn is a quarter of an hour away
                by_hand_at = time.monotonic() + _BY_HAND_EVERY_S
                with contextlib.suppress(ApiError):  # one may be going on
                    self._app.post("sweeps", {})
            return None

        return self._patience.until(found, f"endpoint {endpoint} to be {action} by a sweep")

    def _finished(self, since: datetime) -> dict[str, Any] | None:
        """Return the newest sweep, if it began since a moment and has ended."""
        for sweep in self._app.get("sweeps", top="1")["value"]:
            if sweep["finished_at"] and datetime.fromisoformat(sweep["started_at"]) >= since - _A_LITTLE:
                return dict(sweep)
        return None

    def _event(self, endpoint: str) -> dict[str, Any] | None:
        for received in watch.received(self._stack.state_dir):
            event: dict[str, Any] = received["event"]
            if event["type"].endswith(".EndpointWarned") and event["data"]["endpoint"] == endpoint:
                return event
        return None


def _usd(amount: float | None) -> str:
    return "an unknown amount" if amount is None else f"{amount:,.3f}".removesuffix("0") + " USD"
