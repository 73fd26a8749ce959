"""`.venv/bin/python -m local up | demo | down | status`: Azure on this machine."""

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

# Nothing heavy, and nothing that has to be installed, is imported before it is known to be there: see `main`.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.stack import Stack

ROOT = Path(__file__).resolve().parent.parent
STATE, DEMO_STATE = ROOT / ".local" / "state", ROOT / ".local" / "demo"
DEMO_REPORT = ROOT / ".local" / "demo-report.json"
PROGRAM = ".venv/bin/python -m local"
NOT_RUNNING = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
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
    from local import lock
    from local.stack import Options, Stack

    stop = _prepare()
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


def status(options: argparse.Namespace) -> int:
    """Say what runs, and list runs and endpoints."""
    from local import lock
    from local.status import NotAnsweringError, show

    if lock.holder(options.state_dir) is None:
        print(f"local: nothing is running; `{PROGRAM} up` starts it")
        return NOT_RUNNING
    try:
        show(json.loads((options.state_dir / "up.json").read_text()))
    except FileNotFoundError:
        print("local: it is still starting, or just stopping; ask again in a few seconds")
        return NOT_RUNNING
    except NotAnsweringError as fault:
        print(f"local: {fault}. Ask again in a few seconds; the logs are in {options.state_dir / 'logs'}")
        return NOT_RUNNING
    return 0


def demo(options: argparse.Namespace) -> int:
    """Tell the whole story, from a dropped dataset to the endpoint's removal."""
    from local.demo import play

    if options.dataset is not None and not options.dataset.is_file():
        print(f"local: there is no file {options.dataset}", file=sys.stderr)
        return 1
    folder = options.state_dir
    if folder != DEMO_STATE and folder.exists() and any(folder.iterdir()):  # it would be emptied
        print(f"local: {folder} is not empty; the demo needs a new --state-dir", file=sys.stderr)
        return 1
    _prepare()
    _ensure_base_model(options.engine)
    return play(dataset=options.dataset, engine=options.engine, state_dir=folder, report_path=options.report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="up | demo | down | status")
    for command in (up, demo, down, status):
        about = (command.__doc__ or "").strip()
        sub = commands.add_parser(command.__name__, help=about, description=about)
        sub.set_defaults(command=command)
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
        if command is demo:
            sub.add_argument("--dataset", type=Path, metavar="FILE", help="a chat dataset of your own (JSONL)")
            sub.add_argument(
                "--report",
                type=Path,
                default=DEMO_REPORT,
                metavar="FILE",
                help=f"where its numbers are written (default: {DEMO_REPORT.relative_to(ROOT)})",
            )
    return parser


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


def _prepare() -> _Stop:
    """Make this process one that starts and stops others: it takes signals, and no proxy stands before them."""
    from local.environment import NO_PROXY

    os.environ.update(NO_PROXY)
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup ignores SIGHUP on purpose. SIGINT is taken even where a shell ignores it for a background job.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    return stop


class _Stop:
    """What signals do: the first one interrupts the start or, after it, is only noted; later ones do nothing."""

    def __init__(self) -> None:
        self.asked, self._starting = False, True

    def __call__(self, _number: int, _frame: object) -> None:
        first, self.asked = not self.asked, True
        if first and self._starting:
            raise KeyboardInterrupt

    def ends_start(self) -> None:
        """Only note signals from now on. Raises: KeyboardInterrupt: one came before, and was lost on its way."""
        self._starting = False
        if self.asked:
            raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
