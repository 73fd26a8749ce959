"""`python -m bench`: run every benchmark and write bench/results.json. Ratios within one run; never a timed test.

Takes the options of `bench.preparation`, by far the longest part.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import goals, lifecycle, preparation

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results.json")
IMPORTS = {"nothing": "pass", "azure.functions": "import azure.functions", "function_app": "import function_app"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    preparation.add_arguments(parser)
    asked = parser.parse_args()
    results = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}",
        "date": datetime.now(UTC).date().isoformat(),
        "import": imports(),
        "dataset": dataset(),
        # First: a child's peak of memory is at least its parent's, and what a run's life needs is large.
        "preparation": preparation.run(asked),
        "lifecycle": lifecycle.measure(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    print(goals.as_text(results["preparation"]["goals"]))
    return 0


def imports(repeat: int = 7) -> dict[str, Any]:
    """Measure what importing the app costs, against what azure.functions alone costs: seconds of whole processes."""
    seconds = {name: statistics.median(_timed(code) for _ in range(repeat)) for name, code in IMPORTS.items()}
    return {name: round(value, 3) for name, value in seconds.items()} | {
        "app_over_azure_functions": round(
            (seconds["function_app"] - seconds["nothing"]) / (seconds["azure.functions"] - seconds["nothing"]), 2
        )
    }


def dataset() -> Any:
    """Measure dataset preparation against the ceiling of copying, decoding and encoding."""
    command = [sys.executable, str(ROOT / "bench" / "dataset.py"), "--mb", "100", "--repeat", "3"]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def _timed(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
