"""The deployment package in earnest: built, measured, and imported in an environment with requirements.txt alone.

The environment is kept under .local/ until requirements.txt or constraints.txt changes: making it takes a minute. What
Azure's own build makes of the same files may differ by its Python, not by its packages.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.infra.app import ROOT
from tools.infra.complaint import Complaint, Where
from tools.infra.package.contents import FILE, packaged

UPLOAD_LIMIT_MB, INSTALLED_LIMIT_MB = 5, 60
"""What is uploaded has no packages in it, Azure installs them: 48 MB, of which pandas with its numpy are 29. What reads
Parquet is our own for this reason: pyarrow would be another 55."""
HEAVY = (
    "azure.ai.ml",
    "azure.identity",
    "azure.storage",
    "azure.data",
    "cramjam",
    "pandas",
    "pyarrow",
    "requests",
    "torch",
    "yaml",
)
_NOT_DEPLOYED = ("pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack")
_IMPORT = """
import json, sys, time
started = time.perf_counter()
import function_app
taken = time.perf_counter() - started
names = [one.get_function_name() for one in function_app.app.get_functions()]
print(json.dumps({"functions": names, "modules": sorted(sys.modules), "seconds": taken}))
"""


def check(folder: Path) -> list[Complaint]:
    """Build the package that a folder's .funcignore lets through, and try it. Prints what it measures."""
    with tempfile.TemporaryDirectory() as place:
        package = Path(place) / "package"
        names = packaged(ROOT, (folder / FILE).read_text("utf-8"))
        for name in names:
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, package / name)
        uploaded = zipped_size(package, Path(place) / "package.zip")
        print(f"package: {len(names)} files, {_mb(sum(uploaded.values()))} zipped: what azd uploads")
        environment = fresh_environment()
        return [*_large(uploaded, UPLOAD_LIMIT_MB, FILE), *_installed(environment), *_imported(package, environment)]


def fresh_environment() -> Path:
    """Return a virtual environment that holds requirements.txt and nothing else."""
    key = hashlib.sha256(sys.version.encode())
    for name in ("requirements.txt", "constraints.txt"):
        key.update((ROOT / name).read_bytes())
    places = ROOT / ".local" / "package"
    place = places / key.hexdigest()[:16]
    if not (place / "complete").exists():
        print("package: making an environment with requirements.txt alone ...", flush=True)
        shutil.rmtree(places, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        command = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, "-r", str(ROOT / "requirements.txt")], check=True)
        (place / "complete").touch()
    return place


def zipped_size(folder: Path, archive: Path) -> Counter[str]:
    """Zip a folder; returns bytes in the archive by the first part of the path."""
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and "__pycache__" not in name.parts and not name.parts[0].startswith(_NOT_DEPLOYED):
                file.write(path, name)
                sizes[name.parts[0]] += file.getinfo(name.as_posix()).compress_size
    return sizes


def _installed(environment: Path) -> Iterator[Complaint]:
    (site,) = environment.glob("lib/python*/site-packages")
    with tempfile.TemporaryDirectory() as place:
        sizes = zipped_size(site, Path(place) / "installed.zip")
    largest = ", ".join(f"{name} {_mb(size)}" for name, size in sizes.most_common(5))
    print(f"package: {_mb(sum(sizes.values()))} zipped with what requirements.txt installs ({largest})")
    yield from _large(sizes, INSTALLED_LIMIT_MB, "requirements.txt")


def _large(sizes: Counter[str], limit_mb: int, file: str) -> Iterator[Complaint]:
    total = sum(sizes.values())
    if total > limit_mb * 1_000_000:
        largest = ", ".join(f"{name} {_mb(size)}" for name, size in sizes.most_common(4))
        what = f"the package has {_mb(total)} zipped ({largest})"
        yield Complaint(
            Where(file, 1), what, f"at most {limit_mb} MB: every cold start fetches it", "Leave something out"
        )


def _imported(package: Path, environment: Path) -> Iterator[Complaint]:
    """Import the app as a worker would: from the package, with nothing else, without a setting."""
    where = Where("requirements.txt", 1)
    command = [str(environment / "bin" / "python"), "-c", _IMPORT]
    done = subprocess.run(command, cwd=package, env={}, capture_output=True, text=True, check=False)
    if done.returncode:
        what = f"the package cannot be imported ({done.stderr.strip().splitlines()[-1]})"
        yield Complaint(where, what, "an import with requirements.txt alone", "Add what is missing")
        return
    found = json.loads(done.stdout)
    print(
        f"package: {len(found['functions'])} functions indexed; imported in {found['seconds']:.2f} s, bytecode unmade"
    )
    heavy = [name for name in found["modules"] if name.startswith(HEAVY)]
    if heavy:
        what = f"importing the package loads {', '.join(heavy[:3])}"
        yield Complaint(where, what, "a cold start without an SDK", "Import it where it is used")


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
