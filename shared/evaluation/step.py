"""Evaluate a training as a step of its job: `python -m shared.evaluation.step ...`; see `arguments`.

The exit code is 0 whatever happens: a job that trained well must not fail because it could not be measured. So the work
is done in a process of its own, which may run out of memory or of time; what it had found by then is kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from shared.evaluation.arguments import Arguments, parse
from shared.evaluation.results import Results

_GRACE_S = 300
"""The process keeps to the limit itself, except while it loads a model."""


def main(arguments: list[str] | None = None) -> int:
    """Run the step."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        asked = parse(given)
        with tempfile.TemporaryDirectory(prefix="evaluation-") as folder:
            results = _measured(asked, given, Path(folder, "evaluation.json"))
        results.write(asked.out)
    except (SystemExit, OSError, ValueError) as fault:
        sys.stderr.write(f"the evaluation failed: {type(fault).__name__}\n")
    return 0


def _measured(asked: Arguments, given: list[str], found: Path) -> Results:
    """Return what the process found, with the reason why that is not all."""
    # Of an option that is given twice, the last one counts.
    command = [sys.executable, "-m", "shared.evaluation.measure", *given, "--out", str(found)]
    error = None
    try:
        code = subprocess.run(command, timeout=asked.time_limit_s + _GRACE_S, check=False).returncode
        if code:
            error = f"The evaluation's process ended with exit code {code}"
            error += (
                ": it was killed, most likely for want of memory." if code in (-9, 137) else "; see the step's log."
            )
    except subprocess.TimeoutExpired:
        error = f"The evaluation took longer than {asked.time_limit_s:g} seconds and was stopped."
    results = Results.read(found) if found.is_file() else Results(asked.job, asked.live_run)
    results.error = error
    return results


if __name__ == "__main__":
    sys.exit(main())
