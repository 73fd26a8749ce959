"""Packages of this app as files that a job can bring along: what prepares datasets, and what evaluates models."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path

from shared.runs.names import PREPARED
from shared.storage import Blobs

_ROOT = Path(__file__).resolve().parents[2]
PARTS = ("shared/__init__.py", "shared/typed.py", "shared/dataset", "shared/costs", "shared/prices.json")
"""What the preparation needs, in the form of paths below the app's root; it imports nothing else of ours."""

EVALUATION_PARTS = ("shared/__init__.py", "shared/evaluation")
PACKAGES = "packages"
"""The folder of the packages, beside the prepared data of the runs; no run's id has this form."""

_LONG_AGO = (2020, 1, 1, 0, 0, 0)  # a ZIP archive's times would make it another one each time


@lru_cache(maxsize=1)
def dataset_package() -> tuple[str, bytes]:
    """Return (name, ZIP archive) of the dataset package; the name is a function of its sources."""
    return _package("dataset", PARTS)


@lru_cache(maxsize=1)
def evaluation_package() -> tuple[str, bytes]:
    """Return (name, ZIP archive) of the evaluation package; the name is a function of its sources."""
    return _package("evaluation", EVALUATION_PARTS)


def bring(blobs: Blobs, package: tuple[str, bytes]) -> str:
    """Put a package beside the prepared data, once for each version of the app. Returns: its path there."""
    name, archive = package
    path = f"{PACKAGES}/{name}"
    if blobs.describe(PREPARED, path) is None:
        blobs.write_small(PREPARED, path, archive, "application/zip")
    return path


def _package(kind: str, parts: tuple[str, ...]) -> tuple[str, bytes]:
    files = {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in _sources(parts)}
    digest = hashlib.sha256()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            out.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return f"{kind}-{digest.hexdigest()[:16]}.zip", archive.getvalue()


def _sources(parts: tuple[str, ...]) -> list[Path]:
    found: list[Path] = []
    for part in parts:
        path = _ROOT / part
        found += [path] if path.is_file() else [file for file in path.rglob("*") if _is_source(file)]
    return sorted(found)


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
