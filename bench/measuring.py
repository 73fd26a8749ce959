"""Whole processes, measured: CPU seconds and peak memory. Only the standard library.

This process must stay small: what a child once shared with its parent counts as the child's peak memory. So whatever
is large (corpora, comparing rows) happens in children as well.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class BenchError(RuntimeError):
    """A program that was to be measured did not do its work; the message holds the end of what it said."""


@dataclass(frozen=True)
class Cost:
    """What one run took: user and system seconds, and the peak memory, of a process and the children it waited for."""

    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Program:
    """Something to measure."""

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


def measure(program: Program) -> Cost:
    """Run a program. Raises: BenchError: it failed."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            program.command, cwd=ROOT, env={**os.environ, **program.env}, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last_words = " ".join(said.read()[-2000:].decode(errors="replace").split())[-400:]
            raise BenchError(f"{' '.join(program.command)} ended with {process.returncode}: {last_words}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def take_turns(
    programs: Mapping[str, Program], repeat: int, after_first: Callable[[str], None] = lambda _: None
) -> dict[str, list[Cost]]:
    """Measure programs one after the other, `repeat` times over, so that a busy moment of the machine hits all of them.

    after_first: called with the name of each program after its first run.
    """
    runs: dict[str, list[Cost]] = {name: [] for name in programs}
    for turn in range(repeat):
        for name, program in programs.items():
            runs[name].append(measure(program))
            if not turn:
                after_first(name)
    return runs


def summary(runs: Sequence[Cost], megabytes: float) -> dict[str, Any]:
    """Median CPU seconds and rate, and the highest peak; megabytes: of the rows as plain JSON Lines."""
    cpu = statistics.median(run.cpu_s for run in runs)
    return {
        "cpu_s": round(cpu, 3),
        "mb_per_cpu_s": round(megabytes / cpu, 1),
        "peak_mb": round(max(run.peak_mb for run in runs), 1),
        "runs_cpu_s": [round(run.cpu_s, 3) for run in runs],
    }


def ratio(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How many times the CPU of `other` `one` takes: the median over runs of the same turn."""
    pairs = zip(one["runs_cpu_s"], other["runs_cpu_s"], strict=False)
    return statistics.median(a / b for a, b in pairs)
