"""`python -m local up | demo | down | status`: Azure on this machine."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.azurite import AzuriteError
from local.ports import PortTakenError
from local.processes import ServiceError
from local.stack import ROOT, Options, Stack

STATE = ROOT / ".local" / "state"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except (AzuriteError, PortTakenError, ServiceError, AlreadyRunningError) as fault:
        print(f"local: {fault}", file=sys.stderr)
        return 1


class AlreadyRunningError(RuntimeError):
    """Another process runs with the same state directory."""


def up(options: argparse.Namespace) -> int:
    """Start everything, say so in one line of JSON, and keep running until Ctrl-C."""
    _ensure_base_model(options.engine)
    with _PidFile(options.state_dir):
        stop = _stop_signals()
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
        stack.start()
        try:
            line = {
                "ready": True,
                "env": stack.env,
                "urls": stack.urls,
                "state_dir": str(stack.state_dir),
                "pids": stack.pids(),
            }
            (stack.state_dir / "up.json").write_text(json.dumps(line))
            print(json.dumps(line), flush=True)
            while not stop:
                time.sleep(0.2)
                for name in stack.keep_alive():
                    print(f"local: {name} ended and was started again", file=sys.stderr)
        finally:
            stack.stop()
    return 0


def down(options: argparse.Namespace) -> int:
    """Stop what runs with this state directory."""
    pid = _running(options.state_dir)
    if pid is None:
        print("local: nothing is running")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    while _running(options.state_dir) is not None:
        if time.monotonic() > deadline:
            print(f"local: process {pid} does not end", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print("local: stopped")
    return 0


def status(options: argparse.Namespace) -> int:
    """Say what runs, and list runs and endpoints."""
    from local.status import show

    if _running(options.state_dir) is None:
        print("local: nothing is running; `python -m local up` starts it")
        return 3
    show(json.loads((options.state_dir / "up.json").read_text()))
    return 0


def demo(options: argparse.Namespace) -> int:
    """Tell the whole story, from a dropped dataset to the endpoint's removal."""
    from local.demo import play

    _ensure_base_model(options.engine)
    return play(dataset=options.dataset, engine=options.engine, report_path=ROOT / ".local" / "demo-report.json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up | demo | down | status")
    for command in (up, demo, down, status):
        about = (command.__doc__ or "").strip()
        sub = commands.add_parser(command.__name__, help=about, description=about)
        sub.set_defaults(command=command)
        sub.add_argument(
            "--state-dir", type=Path, default=STATE, help="where everything is kept (default: .local/state)"
        )
        if command in (up, demo):
            sub.add_argument(
                "--engine",
                choices=("lora", "fast"),
                default="lora",
                help="lora: really fine-tune SmolLM2-135M-Instruct; fast: a tiny random model, for tests",
            )
        if command is up:
            sub.add_argument("--port-base", type=int, help="use this port and the six after it (default: free ports)")
            sub.add_argument("--auth", action="store_true", help="ask for function keys, as Azure does")
            sub.add_argument(
                "--speed", type=float, default=45.0, help="divide Azure's own delays by this (default: 45)"
            )
        if command is demo:
            sub.add_argument("--dataset", type=Path, help="a chat dataset of your own (JSONL)")
    return parser


def _ensure_base_model(engine: str) -> None:
    """Make the base model once; takes half a minute the first time, nothing afterwards."""
    import subprocess

    from local.environment import base_environment, ml_python
    from local.stack import CACHE

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


def _stop_signals() -> list[int]:
    """Collect SIGINT and SIGTERM instead of dying from them; the list is empty until one arrives."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: received.append(signum))
    return received


class _PidFile:
    """Marks a state directory as in use."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "up.pid"
        self._state_dir = state_dir

    def __enter__(self) -> None:
        pid = _running(self._state_dir)
        if pid is not None:
            raise AlreadyRunningError(f"process {pid} runs with {self._state_dir}; `python -m local down` stops it")
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._path.write_text(str(os.getpid()))

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def _running(state_dir: Path) -> int | None:
    path = state_dir / "up.pid"
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


if __name__ == "__main__":
    sys.exit(main())
