"""Hold azure.yaml, infra/, its hooks and .funcignore against the code.

    python -m tools.infra [FOLDER]            a folder with azure.yaml and infra/; without it, this repository
    python -m tools.infra --package [FOLDER]  the same, then the deployment package in a fresh environment (a minute)

Exit code: 0 nothing to complain of, 1 complaints (one a line: file:line: what; expected what. What to do.), 2 usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.infra.app import ROOT
from tools.infra.checks import complaints


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.infra", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--package", action="store_true", help="also build, measure and import the deployment package")
    asked = parser.parse_args(arguments)
    found = complaints(asked.folder)
    if asked.package and not found:
        from tools.infra.package import trial

        found = trial.check(asked.folder)
    for one in found:
        print(one, file=sys.stderr)
    counted = f"{len(found)} complaint{'' if len(found) == 1 else 's'}"
    print(f"infra: {counted if found else 'agrees with the code'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
