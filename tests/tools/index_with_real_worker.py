"""Check the app's index with Microsoft's real Python worker, in a Python 3.13 virtual environment of its own.

`python tests/tools/index_with_real_worker.py [APP_ROOT]`: exit 0 when the worker loads every function (or there is no
Python 3.13 on this machine: it says so), 1 when it refuses the app.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / ".local" / "venv-worker"
WORKER = "azure-functions-runtime==1.3.0"
CHECK = ROOT / "local" / "functions_host" / "index_check.py"


def find_python() -> Path | None:
    """Return a Python 3.13: of the PATH, else of pyenv, the newest first."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python"), reverse=True)
    on_path = shutil.which("python3.13")
    candidates = [Path(on_path)] if on_path else []
    return next((one for one in [*candidates, *pyenv] if _is_313(one)), None)


def _is_313(python: Path) -> bool:
    # pyenv's shims are on the PATH even when no such version is active.
    code = "import sys; sys.exit(sys.version_info[:2] != (3, 13))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def ensure_environment(python: Path, requirements: Path) -> Path:
    """Make the environment, or update it when the requirements changed. Returns its interpreter."""
    interpreter = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "installed.sha256"
    locked = requirements.with_name("constraints.txt")
    lock = locked.read_bytes() if locked.exists() else b""
    wanted = hashlib.sha256(WORKER.encode() + requirements.read_bytes() + lock).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    subprocess.run([python, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    install = ["install", "--quiet", "--disable-pip-version-check", WORKER, "-r", str(requirements)]
    subprocess.run([interpreter, "-m", "pip", *install], check=True)
    stamp.write_text(wanted)
    return interpreter


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app_root", type=Path, nargs="?", default=ROOT)
    parser.add_argument("--requirements", type=Path, help="default: requirements.txt of the app")
    arguments = parser.parse_args()
    python = find_python()
    if python is None:
        print("not run: no Python 3.13 here")
        return 0
    interpreter = ensure_environment(python, arguments.requirements or arguments.app_root / "requirements.txt")
    # By file and with -P: neither this repository nor the folder of the check may offer modules to the app.
    return subprocess.run(
        [interpreter, "-P", CHECK, arguments.app_root.resolve()], cwd=ENVIRONMENT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
