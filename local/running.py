"""The commands that ask what is running: status, clock, sweeps."""

from __future__ import annotations  # as in __main__, which imports this

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

PROGRAM = ".venv/bin/python -m local"
NOT_RUNNING = 3


def status(options: argparse.Namespace) -> int:
    """Say what runs, and list runs and endpoints."""
    from local.status import show

    return ask_running(options, show)


def clock(options: argparse.Namespace) -> int:
    """Show the time of the local Azure, or move it forward."""
    from local.clock import ClockError
    from local.clock_command import advance, show

    try:
        if "by" in options:
            return ask_running(options, lambda up: advance(up, options.by))
        return ask_running(options, show)
    except ClockError as fault:
        print(f"local: {fault}", file=sys.stderr)
        return 2


def sweeps(options: argparse.Namespace) -> int:
    """List the sweeps, or what one of them made of each endpoint."""
    from local.sweeps import show

    return ask_running(options, lambda up: show(up, options.id))


def ask_running(options: argparse.Namespace, ask: Callable[[dict[str, Any]], None]) -> int:
    """Call `ask` with the line that `up` printed; what is wrong is told in a sentence."""
    from local import lock
    from local.status import NotAnsweringError, NotFoundError

    if lock.holder(options.state_dir) is None:
        print(f"local: nothing is running; `{PROGRAM} up` starts it")
        return NOT_RUNNING
    try:
        ask(json.loads((options.state_dir / "up.json").read_text()))
    except FileNotFoundError:
        print("local: it is still starting, or just stopping; ask again in a few seconds")
        return NOT_RUNNING
    except NotFoundError as fault:
        print(f"local: {fault}", file=sys.stderr)
        return 1
    except NotAnsweringError as fault:
        print(f"local: {fault}. Ask again in a few seconds; the logs are in {options.state_dir / 'logs'}")
        return NOT_RUNNING
    return 0


def add_advance(parser: argparse.ArgumentParser) -> None:
    about = "move the time forward: the emulator's, Event Grid's, the timers' and the app's"
    moves = parser.add_subparsers(metavar="advance TIME").add_parser("advance", help=about, description=about)
    moves.add_argument("by", type=_duration, metavar="TIME", help="how far: 45s, 15m, 9h, 7d, 1h30m")
    moves.add_argument("--state-dir", type=Path, default=argparse.SUPPRESS, metavar="DIR")


def _duration(text: str) -> timedelta:
    from local.clock import ClockError, duration

    try:
        return duration(text)
    except ClockError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault
