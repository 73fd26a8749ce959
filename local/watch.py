"""`python -m local events`: the app's own events, as its subscriber received them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.eventgrid.subscriber import file as received_file

_LOOK_EVERY_S = 0.3


def show(state_dir: Path, *, follow: bool, as_json: bool) -> None:
    """Print what was received, oldest first; with `follow`, go on until Ctrl-C."""
    seen: set[str] = set()
    for received in _follow(received_file(state_dir), follow=follow):
        event = received["event"]
        again = event["id"] in seen
        seen.add(event["id"])
        print(json.dumps(event) if as_json else line(received, again=again), flush=True)


def received(state_dir: Path) -> Iterator[dict[str, Any]]:
    """Return what was received until now, oldest first: `{"received": time, "event": event}`."""
    return _follow(received_file(state_dir), follow=False)


def line(received: dict[str, Any], *, again: bool) -> str:
    """Return one event for people. `again`: it came before, as an event may that is delivered at least once."""
    event = received["event"]
    data = event.get("data") or {}
    told = [f"{data['from'] or 'new'} -> {data['to']}"] if "to" in data else []
    told += [f"{key}: {data[key]}" for key in ("endpoint", "reason") if data.get(key)]
    kind = str(event["type"]).rpartition(".")[2]
    text = f"{received['received'][11:19]}  {kind:<18} {event.get('subject', '')}  {'; '.join(told)}".rstrip()
    return f"{text}  (again)" if again else text


def _follow(path: Path, *, follow: bool) -> Iterator[dict[str, Any]]:
    yield from _whole_lines(path.with_name(f"{path.name}.1"))
    offset = 0
    while True:
        if path.exists():
            if path.stat().st_size < offset:  # it was begun anew
                offset = 0
            with path.open("rb") as lines:
                lines.seek(offset)
                for text in lines:
                    if not text.endswith(b"\n"):
                        break
                    offset += len(text)
                    yield json.loads(text)
        if not follow:
            return
        time.sleep(_LOOK_EVERY_S)


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as lines:
            for text in lines:
                yield json.loads(text)
