"""What the step is told."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from shared.evaluation import MOST_ROWS

TIME_LIMIT_S = 1800
"""For all models together: a large model loads in minutes, and the GPUs it needs cost up to fifty dollars an hour."""


@dataclass(frozen=True)
class Arguments:
    """Where the models and the test rows are; job and live_run only name things in the results."""

    job: str
    test: Path
    base: Path
    candidate: Path
    live: Path | None
    live_run: str | None
    out: Path
    rows: int
    time_limit_s: float


def parse(arguments: list[str] | None) -> Arguments:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.evaluation.step", description="Compare what was trained with the base model."
    )
    parser.add_argument("--job", required=True, help="the job's name")
    parser.add_argument("--test", type=Path, required=True, metavar="FILE", help="test.jsonl")
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the model before the training")
    parser.add_argument("--candidate", type=Path, required=True, metavar="DIR", help="the model after it")
    parser.add_argument("--live", type=Path, metavar="DIR", help="the model that serves the project now")
    parser.add_argument("--live-run", help="whose model that is")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where evaluation.json goes")
    parser.add_argument("--rows", type=int, default=MOST_ROWS, help="rows to look at, at most")
    parser.add_argument("--time-limit-s", type=float, default=TIME_LIMIT_S, help="for all models together")
    # The runs' names are texts of the caller: empty ones stand for none.
    found = vars(parser.parse_args(arguments))
    return Arguments(**{**found, "live_run": found["live_run"] or None})
