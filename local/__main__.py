"""`.venv/bin/python -m local up | demo | down | status | clock | sweeps | faults | events`: Azure on this machine."""

from __future__ import annotations  # so that a Python too old for the rest can say so

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.running import PROGRAM, add_advance, clock, status, sweeps

# Nothing heavy, and nothing that has to be installed, is imported before it is known to be there: see `main`.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
STATE, DEMO_STATE = ROOT / ".local" / "state", ROOT / ".local" / "demo"
DEMO_REPORT = ROOT / ".local" / "demo-report.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        wanted = sys.argv[1:] if arguments is None else arguments
        options = _parser(wanted).parse_args(wanted)
        if sys.version_info < (3, 11):  # noqa: UP036
            raise ModuleNotFoundError("Python 3.11 or newer", name="Python 3.11 or newer")
        return _run(options)
    except KeyboardInterrupt:
        print("local: stopped", file=sys.stderr)
        return 130
    except ModuleNotFoundError as missing:
        name = missing.name or ""
        if name.partition(".")[0] == "local":
            raise
        print(f"local: {name} is missing here; run `make install`, then `{PROGRAM} ...`", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    """Run the command. What a person can mend is told in a sentence, not in a traceback."""
    from local.azurite import AzuriteError
    from local.lock import AlreadyRunningError
    from local.ports import PortTakenError
    from local.processes import ServiceError

    try:
        return int(options.command(options) or 0)
    except (AzuriteError, PortTakenError, ServiceError, AlreadyRunningError) as fault:
        print(f"local: {fault}", file=sys.stderr)
        return 1


def up(options: argparse.Namespace) -> int:
    """Start everything, say so in one line of JSON, and keep running until Ctrl-C."""
    from local import lock, stopping
    from local.stack import Options, Stack

    stop = stopping.prepare()
    with lock.hold(options.state_dir):
        (options.state_dir / "up.json").unlink(missing_ok=True)
        _ensure_base_model(options.engine)
        stack = Stack(
            Options(
                state_dir=options.state_dir,
                engine=options.engine,
                port_base=options.port_base,
                auth=options.auth,
                speed=options.speed,
                host_log=sys.stderr,
            )
        )
        try:
            stack.start()
            stop.ends_start()
            print(json.dumps(_record(stack)), flush=True)
            while not stop.asked:
                time.sleep(0.2)
                _keep_alive(stack)
        finally:
            stack.stop()
            (options.state_dir / "up.json").unlink(missing_ok=True)
    return 0


def down(options: argparse.Namespace) -> int:
    """Stop what runs with this state directory."""
    from local import lock

    pid = lock.holder(options.state_dir)
    if pid is None:
        print("local: nothing is running")
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while lock.holder(options.state_dir) == pid:
        if time.monotonic() > deadline:
            print(f"local: process {pid} does not end", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print("local: stopped")
    return 0


def faults(options: argparse.Namespace) -> int:
    """Let things go wrong as they do in Azure; local/README.md tells how."""
    from local.faults import command

    return command.run(options)


def events(options: argparse.Namespace) -> int:
    """Show the app's own events, as a subscriber of its topic received them."""
    from local.watch import show

    show(options.state_dir, follow=options.follow, as_json=options.json)
    return 0


def demo(options: argparse.Namespace) -> int:
    """Tell the whole story, from a dropped dataset to the endpoint's removal."""
    from local import stopping
    from local.demo import play

    if options.dataset is not None and not options.dataset.is_file():
        print(f"local: there is no file {options.dataset}", file=sys.stderr)
        return 1
    folder = options.state_dir
    if folder != DEMO_STATE and folder.exists() and any(folder.iterdir()):  # it would be emptied
        print(f"local: {folder} is not empty; the demo needs a new --state-dir", file=sys.stderr)
        return 1
    stopping.prepare()
    _ensure_base_model(options.engine)
    return play(dataset=options.dataset, engine=options.engine, state_dir=folder, report_path=options.report)


def _parser(wanted: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(
        required=True, metavar="up | demo | down | status | clock | sweeps | faults | events"
    )
    for command in (up, demo, down, status, clock, sweeps, events):
        sub = _command(commands, command)
        state = DEMO_STATE if command is demo else STATE
        sub.add_argument(
            "--state-dir",
            type=Path,
            default=state,
            metavar="DIR",
            help=f"where everything is kept (default: {state.relative_to(ROOT)})",
        )
        if command in (up, demo):
            sub.add_argument(
                "--engine",
                choices=("lora", "fast"),
                default="lora",
                help="lora: really fine-tune SmolLM2-135M-Instruct; fast: a tiny random model, for tests",
            )
        if command is up:
            sub.add_argument(
                "--port-base",
                type=_port_base,
                metavar="PORT",
                help="use this port and the six after it (default: those of the last time, or free ones)",
            )
            sub.add_argument("--auth", action="store_true", help="ask for function keys, as Azure does")
            sub.add_argument(
                "--speed", type=float, default=45.0, help="divide Azure's own delays by this (default: 45)"
            )
        if command is clock:
            add_advance(sub)
        if command is sweeps:
            sub.add_argument("id", nargs="?", help="as the list shows it: the endpoints that it looked at")
        if command is events:
            sub.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
            sub.add_argument("--json", action="store_true", help="whole events, one a line")
        if command is demo:
            sub.add_argument("--dataset", type=Path, metavar="FILE", help="a chat dataset of your own (JSONL)")
            sub.add_argument(
                "--report",
                type=Path,
                default=DEMO_REPORT,
                metavar="FILE",
                help=f"where its numbers are written (default: {DEMO_REPORT.relative_to(ROOT)})",
            )
    sub = _command(commands, faults)
    if "faults" in wanted[:1]:  # the other commands start sooner without it
        _add_faults(sub)
    return parser


def _command(commands: Any, command: Any) -> argparse.ArgumentParser:
    about = (command.__doc__ or "").strip()
    sub: argparse.ArgumentParser = commands.add_parser(command.__name__, help=about, description=about)
    sub.set_defaults(command=command)
    return sub


def _add_faults(parser: argparse.ArgumentParser) -> None:
    try:
        from local.faults.command import add_parsers
    except ModuleNotFoundError:  # said later, in a sentence, when somebody wants it
        return
    add_parsers(parser, STATE, str(STATE.relative_to(ROOT)))


def _port_base(text: str) -> int:
    from local.ports import HIGHEST_BASE, LOWEST_BASE

    if text.isdecimal() and LOWEST_BASE <= int(text) <= HIGHEST_BASE:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from {LOWEST_BASE} to {HIGHEST_BASE}")


def _ensure_base_model(engine: str) -> None:
    """Make the base model once; takes half a minute the first time, nothing afterwards."""
    import subprocess

    from local.environment import base_environment, ml_python
    from local.processes import ServiceError
    from local.stack import CACHE
    from local.training import engines

    if not engines.folder(CACHE, engine).exists():
        print("Making the base model, once (half a minute) ...", file=sys.stderr)
    command = [str(ml_python(ROOT)), "-m", "local.training.base_model", "--engine", engine, "--cache", str(CACHE)]
    try:
        made = subprocess.run(
            command,
            cwd=ROOT,
            env=base_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as missing:
        raise ServiceError(f"{command[0]} is missing. Run `make install` first.") from missing
    if made.returncode != 0:
        raise ServiceError(f"the base model could not be made:\n{made.stdout[-2000:]}")


def _keep_alive(stack: Stack) -> None:
    ended = stack.keep_alive()
    for name in ended:
        print(f"local: {name} ended and was started again", file=sys.stderr)
    if ended:
        _record(stack)  # with its new process id


def _record(stack: Stack) -> dict[str, Any]:
    """Keep what `up` prints where `status` finds it."""
    from local.files import write_atomically

    line = {
        "ready": True,
        "env": stack.env,
        "urls": stack.urls,
        "state_dir": str(stack.state_dir),
        "pids": stack.pids(),
    }
    write_atomically(stack.state_dir / "up.json", json.dumps(line))
    return line


if __name__ == "__main__":
    sys.exit(main())
