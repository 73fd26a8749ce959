"""Prepare a chat dataset on the command line.

Prints report.json; writes train.jsonl, test.jsonl, report.json, report.html and, where rows could be mended,
repaired.jsonl. Exit code 0: usable, 2: rejected, 1: anything else, with one line on stderr.
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

from shared.dataset import layouts
from shared.dataset.errors import DatasetError, DatasetRejectedError
from shared.dataset.files import prepare_file
from shared.dataset.options import PrepareOptions
from shared.dataset.report import Progress, Report
from shared.dataset.samples import Samples
from shared.dataset.sensitive import KINDS
from shared.dataset.tokens import TokenCounter

USABLE, ERROR, REJECTED, INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and not argparse's exit code 2, which means `rejected` here."""
        self.exit(ERROR, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns: the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        report = prepare_file(
            asked.file,
            asked.out,
            _options(asked),
            progress_line(),
            page=render_page,
            test_path=asked.test_file,
        )
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


def _options(asked: argparse.Namespace) -> PrepareOptions:
    columns = dict(column.split("=", 1) for column in asked.column)
    if asked.tokenizer:
        TokenCounter(str(asked.tokenizer))  # to say what is wrong with it before anything is written
    return PrepareOptions(
        sample_percent=asked.sample_percent,
        test_fraction=asked.test_fraction,
        seed=asked.seed,
        layout=asked.layout,
        columns=columns,
        drop=asked.drop,
        context_window=asked.context_window,
        tokenizer=str(asked.tokenizer) if asked.tokenizer else None,
    )


def render_page(report: Report, samples: Samples) -> bytes:
    """Make report.html; what training takes is estimated for the model and the VM size that the app would choose."""
    from shared.costs import TrainingPlan, estimate, workload_of
    from shared.dataset.page import render

    return render(report, samples.rows, estimate(workload_of(report), TrainingPlan()))


def _column(text: str) -> str:
    role, equals, name = text.partition("=")
    if not (role and equals and name):
        raise argparse.ArgumentTypeError(f"{text!r} is not ROLE=NAME, such as user=question")
    return text


def _parser() -> _Parser:
    defaults = PrepareOptions()
    parser = _Parser(prog="python -m shared.dataset", description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="the dataset: JSON Lines, JSON, CSV, TSV or Parquet, each also as gzip or Zstandard",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where train.jsonl, test.jsonl, the reports go"
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
    parser.add_argument(
        "--test-file", type=Path, metavar="FILE", help="held-out conversations of your own, instead of a split"
    )
    parser.add_argument("--layout", metavar="NAME", choices=layouts.NAMES, help=f"one of {', '.join(layouts.NAMES)}")
    parser.add_argument(
        "--column",
        type=_column,
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="which field holds what, such as user=question; may be given several times",
    )
    parser.add_argument(
        "--drop",
        choices=tuple(KINDS),
        action="append",
        default=[],
        metavar="WHAT",
        help=f"leave out conversations that hold such: {', '.join(KINDS)}",
    )
    parser.add_argument(
        "--context-window", type=int, metavar="N", help="tokens; longer conversations are counted and warned of"
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE",
        help="the model's tokenizer.json, to count tokens instead of estimating",
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
