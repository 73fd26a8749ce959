"""The cost of preparation from blob to blobs, with the real SDK and a real Azurite. Only the client is measured."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.measuring import ROOT, Program, summary, take_turns
from local.azurite import Azurite, Ports


def through_blobs(source: Path, expected: Any, repeat: int) -> dict[str, Any]:
    """Measure one process that reads a blob and writes two. expected: what `bench.kept` says of a preparation on disk.

    Azurite keeps its files on the disk, not beside the corpus: replaced blobs stay there for a while.
    """
    print(f"bench: through blobs: {source.stat().st_size / 1e6:,.0f} MB, runs: {repeat}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-azurite-") as folder, _azurite(Path(folder)) as azurite:
        env = {"BENCH_STORAGE": azurite.connection_string}
        _run(env, "put", source.name, str(source.parent))
        program = Program([sys.executable, "-m", "bench.through_blobs", "prepare", source.name], env)
        runs = take_turns({"client": program}, repeat)["client"]
        _run(env, "get", source.name, folder)
        found = summary(runs, source.stat().st_size / 1e6)
        found["same_rows"] = _kept(Path(folder)) == expected
    return found


def _azurite(folder: Path) -> Azurite:
    return Azurite(folder / "azurite", Ports(_free_port(), _free_port(), _free_port()))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run(env: dict[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "bench.through_blobs", *arguments]
    subprocess.run(command, cwd=ROOT, env=os.environ | env, check=True)


def _kept(folder: Path) -> Any:
    command = [sys.executable, "-m", "bench.kept", str(folder / "train.jsonl"), str(folder / "test.jsonl")]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
