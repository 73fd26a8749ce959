"""The log files of deployments."""

from collections import deque
from pathlib import Path
from typing import Any


def path(state_dir: Path, doc: dict[str, Any]) -> Path:
    folder = state_dir / "azureml" / "deployments" / str(doc["endpoint"]).lower()
    return folder / f"{str(doc['name']).lower()}.log"


def read(state_dir: Path, doc: dict[str, Any], container: str | None, tail: int) -> str:
    """Answer the last lines of a deployment's log. Nothing is copied into a container here, so that log is empty."""
    if container == "StorageInitializer":
        return ""
    try:
        with path(state_dir, doc).open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, maxlen=tail))
    except FileNotFoundError:
        return ""


def size(state_dir: Path, doc: dict[str, Any]) -> int:
    """Answer how long the log is: where the next process will begin to write."""
    log = path(state_dir, doc)
    return log.stat().st_size if log.exists() else 0


def last_line(state_dir: Path, doc: dict[str, Any], start: int) -> str | None:
    """Answer the last line after `start` that says something: what a process wrote before it ended."""
    with path(state_dir, doc).open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), None)
