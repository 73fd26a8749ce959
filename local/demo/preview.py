"""What is in somebody's own file, before it is dropped: asked from the very program that the app prepares it with."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local import environment
from local.stack import ROOT

# Endings that say what a file is. Any other one is left off: to the app, notes.txt is no dataset.
_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".gz", ".zst")


@dataclass(frozen=True)
class Preview:
    """The rows that would be kept of a file, and how long one of them is. None at all: the app will say why."""

    rows: int
    tokens_a_row: float


def preview(file: Path) -> Preview:
    """Prepare a file for a look at the report."""
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "shared.dataset", str(file.resolve()), "--out", folder],
            cwd=ROOT,
            env=environment.base_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    if done.returncode != 0:
        return Preview(0, 0)
    report = json.loads(done.stdout)
    return Preview(report["rows_kept"], report["approx_tokens"]["mean"])


def upload_name(file: Path) -> str:
    """Return the name under which a file is dropped: its endings stay, as far as they say what it is.

    >>> upload_name(Path("my chats.json.gz")), upload_name(Path("notes.txt")), upload_name(Path("v1.2.CSV"))
    ('dataset.json.gz', 'dataset.jsonl', 'dataset.csv')
    """
    endings: list[str] = []
    for ending in reversed(file.suffixes):
        if ending.lower() not in _ENDINGS:
            break
        endings.insert(0, ending.lower())
    return f"dataset{''.join(endings) or '.jsonl'}"
