"""Install what trains and serves into the environment that runs this script.

On Linux the default torch brings gigabytes of CUDA that a laptop's demo has no use for, so torch comes from PyTorch's
own CPU index when that answers at once. Where it does not (no internet, a mirror instead), the plain pin is taken.
"""

import platform
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
AT_ONCE_S = 3


def main() -> int:
    requirements = ROOT / "requirements-ml.txt"
    if platform.system() == "Linux" and answers(CPU_INDEX):
        torch = re.search(r"^torch==\S+", requirements.read_text(), re.MULTILINE)
        if torch is None:
            print(f"{requirements.name} does not pin torch", file=sys.stderr)
            return 1
        # A failure here is no failure of the installation: the plain pin below is the second way.
        pip("install", "--index-url", CPU_INDEX, torch[0], check=False)
    pip("install", "-r", str(requirements))
    return 0


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/", timeout=AT_ONCE_S):
            return True
    except (urllib.error.URLError, OSError):
        return False


def pip(*arguments: str, check: bool = True) -> None:
    command = [sys.executable, "-m", "pip", *arguments[:1], "--quiet", "--disable-pip-version-check", *arguments[1:]]
    subprocess.run(command, check=check)


if __name__ == "__main__":
    sys.exit(main())
