"""`python -m local clock [advance TIME]`: the time of the local Azure, shown and moved forward."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local import clock
from local.clock import clock_of
from local.functions_host.keys import load
from local.status import NotAnsweringError, get

_PATIENCE_S, _LOOK_EVERY_S = 30, 0.1
_AS_FAR = timedelta(seconds=0.1)  # each process reads the machine's clock for itself


def show(up: dict[str, Any]) -> None:
    """Print the time and how far it is ahead of the machine's. up: the line that `up` printed."""
    found = clock_of(Path(up["state_dir"]))
    print(line(found.now(), found.ahead))


def advance(up: dict[str, Any], by: timedelta) -> None:
    """Move the clock forward and print the time. Raises: as `move`."""
    move(up, by)
    show(up)


def move(up: dict[str, Any], by: timedelta) -> datetime:
    """Move the clock forward, wait until every service shows the new time, and return it, in UTC.

    Raises: ClockError: it cannot be moved so. NotAnsweringError: it was moved, but not all services tell so yet.
    """
    state_dir = Path(up["state_dir"])
    moved = clock.advance(state_dir, by)
    for name, ask in _services(up, state_dir).items():
        _wait(name, ask, moved)
    return moved


def line(now: datetime, ahead: timedelta) -> str:
    """Return the time for people."""
    text = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"{text}, {_span(ahead)} ahead of this machine" if ahead else f"{text}, as this machine's clock"


def _span(span: timedelta) -> str:
    """Return a span as `advance` takes it: 1d2h3m."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _services(up: dict[str, Any], state_dir: Path) -> dict[str, Callable[[], Any]]:
    """Return who has to have the new time, and how each is asked for it."""
    urls, verify = up["urls"], up["env"]["REQUESTS_CA_BUNDLE"]
    key = {"x-functions-key": load(state_dir).master}
    return {
        "azureml": lambda: get(f"{urls['azureml']}/local/health", verify=verify),
        "eventgrid": lambda: get(f"{urls['eventgrid']}/local/health", verify=verify),
        "functions_host": lambda: get(f"{urls['functions']}/admin/host/status", **key),
    }


def _wait(name: str, ask: Callable[[], Any], moved: datetime) -> None:
    """Wait until a service shows the new time. One that is just being started again takes it when it starts."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if datetime.fromisoformat(ask()["now"]) >= moved - _AS_FAR:
                return
            fault = f"{name} shows an earlier time"
        except NotAnsweringError as error:
            fault = f"{name} has not said so yet: {error}"
        if time.monotonic() > deadline:
            raise NotAnsweringError(f"the clock was moved to {moved:%Y-%m-%d %H:%M:%S} UTC, but {fault}")
        time.sleep(_LOOK_EVERY_S)
