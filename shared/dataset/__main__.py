"""Prepare a chat dataset on the command line.

Prints report.json. Exit code 0: usable, 2: rejected, 1: anything else, with one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from shared.dataset.errors import DatasetError, DatasetRejectedError
from shared.dataset.files import prepare_file
from shared.dataset.options import PrepareOptions
from shared.dataset.report import Progress, Report

USABLE, ERROR, REJECTED, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and not argparse's exit code 2, which means `rejected` here."""
        self.exit(ERROR, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns: the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        options = PrepareOptions(
            sample_percent=asked.sample_percent, test_fraction=asked.test_fraction, seed=asked.seed
        )
        report = prepare_file(asked.file, asked.out, options, progress_line())
    except DatasetRejectedError as error:
        _say(str(error))
        return _print(error.report, REJECTED)
    except DatasetError as error:
        return _say(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        _say("interrupted; nothing was written")
        return INTERRUPTED
    _clear_progress()
    return _print(report, USABLE)


def _parser() -> _Parser:
    defaults = PrepareOptions()
    parser = _Parser(prog="python -m shared.dataset", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the dataset: JSON Lines, one conversation on each line"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where train.jsonl, test.jsonl, report.json go"
    )
    parser.add_argument(
        "--sample-percent",
        type=float,
        default=defaults.sample_percent,
        metavar="P",
        help="share of prompts kept, above 0 up to 100",
    )
    parser.add_argument(
        "--test-fraction",
        type=float,
        default=defaults.test_fraction,
        metavar="F",
        help="share of prompts held out, from 0 to below 1",
    )
    parser.add_argument(
        "--seed", type=int, default=defaults.seed, metavar="S", help="another seed draws another sample and split"
    )
    return parser


def _print(report: Report, code: int) -> int:
    try:
        sys.stdout.buffer.write(report.to_json())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has gone; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _say(f"the report cannot be printed: {error.strerror or error}")
    return code


def _say(message: str) -> int:
    _clear_progress()
    print(" ".join(message.split()), file=sys.stderr)
    return ERROR


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def progress_line(clock: Callable[[], float] = time.monotonic) -> Callable[[Progress], None] | None:
    """A line on stderr that is written over itself; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        return None
    started = clock()

    def show(progress: Progress) -> None:
        megabytes = progress.bytes_read / 1e6
        rate = megabytes / max(clock() - started, 1e-6)
        print(
            f"\r\x1b[K{megabytes:,.0f} MB, {progress.rows_read:,} rows, {rate:,.0f} MB/s",
            end="",
            file=sys.stderr,
            flush=True,
        )

    return show


def _terminated(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
