"""Dataset preparation by this package, by other tools, in other formats and through blob storage.

`python -m bench.preparation --mb 300 --large-mb 1200 --repeat 3` prints what was measured as JSON. All is done on one
generated corpus of chat rows, by whole processes that take turns; what they keep is compared row by row. The other
tools live in .venv-bench (`make bench` makes it). docs/performance.md says what the numbers mean.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import goals
from bench.blobs import through_blobs
from bench.measuring import ROOT, BenchError, Program, summary, take_turns

TOOLS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
OURS, CEILING = "finetune-functions", "ceiling"
# name -> (program in bench/others, environment, whether it is measured with the large corpus too)
OTHERS: dict[str, tuple[str, dict[str, str], bool]] = {
    "pandas, whole file": ("pandas_whole", {}, False),
    "pandas, chunks": ("pandas_chunked", {}, True),
    "datasets, cached": ("datasets_cached", {}, True),
    "datasets, streaming": ("datasets_streaming", {}, True),
    "polars, collected": ("polars_lazy", {"POLARS_MODE": "collect", "POLARS_MAX_THREADS": "1"}, True),
    "polars, sinks": ("polars_lazy", {"POLARS_MODE": "sink", "POLARS_MAX_THREADS": "1"}, True),
    "duckdb": ("duckdb_sql", {}, True),
}
VALIDATORS = {"azure-skills validate_sft (rebuilt)": "check_sft", "together check_file": "check_together"}
FORMATS = ("jsonl.gz", "jsonl.zst", "parquet", "csv", "json")
PACKAGES = ("pandas", "datasets", "polars", "duckdb", "pyarrow", "orjson", "together")


@dataclass(frozen=True)
class Corpus:
    """A JSON Lines file, and a folder for what is made of it."""

    path: Path
    out: Path

    @property
    def megabytes(self) -> float:
        """Its size; every rate is per MB of this."""
        return self.path.stat().st_size / 1e6

    def outputs(self, name: str) -> tuple[Path, Path]:
        """Where a tool's train and test rows go."""
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "train.jsonl", folder / "test.jsonl"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    results = run(parser.parse_args())
    print(json.dumps(results, indent=2))
    print(goals.as_text(results["goals"]), file=sys.stderr)
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes and repetitions."""
    parser.add_argument("--mb", type=int, default=300, help="size of the corpus")
    parser.add_argument("--large-mb", type=int, default=1200, help="size of the large one; 0 for none")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each program; the median counts")
    parser.add_argument(
        "--large-repeat", type=int, default=1, help="runs of the other tools with the large corpus, and through blobs"
    )
    parser.add_argument("--directory", type=Path, help="for the files; /dev/shm where there is room, unless given")


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    results: dict[str, Any] = {"machine": machine(), "date": datetime.now(UTC).date().isoformat()}
    results["versions"] = versions()
    with workspace(asked) as folder:
        small = corpus(folder, asked.mb)
        results["corpus"] = {"megabytes": round(small.megabytes, 1)}
        results["tools"] = tools(small, list(OTHERS), asked.repeat)
        results["corpus"] |= described(small)
        results["validators"] = validators(small, asked.repeat)
        results["formats"] = formats(small, asked.repeat)
        results["blobs"] = {"small": through_blobs(small.path, kept(*small.outputs(OURS)), asked.repeat)}
        shutil.rmtree(small.out)
        if asked.large_mb:
            _large(results, folder, asked)
    results["goals"] = goals.judge(results)
    return results


def _large(results: dict[str, Any], folder: Path, asked: argparse.Namespace) -> None:
    large = corpus(folder, asked.large_mb)
    results["corpus_large"] = {"megabytes": round(large.megabytes, 1)}
    ours = tools(large, [], asked.repeat)
    results["corpus_large"] |= described(large)
    wanted = [name for name, (_, _, is_measured) in OTHERS.items() if is_measured]
    results["tools_large"] = tools(large, wanted, asked.large_repeat) | ours
    results["blobs"]["large"] = through_blobs(large.path, kept(*large.outputs(OURS)), asked.large_repeat)


def tools(corpus: Corpus, others: Sequence[str], repeat: int) -> dict[str, Any]:
    """Measure this package, the ceiling, and other tools."""
    programs = {OURS: ours(corpus, corpus.path, OURS), CEILING: ceiling(corpus)}
    for name in others:
        program, env, _ = OTHERS[name]
        programs[name] = Program(
            [str(TOOLS_PYTHON), f"bench/others/{program}.py", str(corpus.path), *map(str, corpus.outputs(name))], env
        )
    expected: list[Any] = []
    same_rows: dict[str, bool] = {}

    def compare(name: str) -> None:
        if name == CEILING:
            return
        expected.append(kept(*corpus.outputs(name)))
        same_rows[name] = expected[-1] == expected[0]
        if name != OURS:
            for path in corpus.outputs(name):
                path.unlink()

    say(f"{'; '.join(programs)}: {corpus.megabytes:,.0f} MB, {times(repeat)}")
    runs = take_turns(programs, repeat, compare)
    found = {name: summary(costs, corpus.megabytes) for name, costs in runs.items()}
    for name, same in same_rows.items():
        found[name]["same_rows"] = same
    return found


def ours(corpus: Corpus, source: Path, name: str) -> Program:
    """This package, on a file."""
    return Program([sys.executable, "-m", "shared.dataset", str(source), "--out", str(corpus.out / name)])


def ceiling(corpus: Corpus) -> Program:
    """Copy, decode and encode, with nothing in between."""
    return Program([sys.executable, "bench/dataset.py", "--ceiling", str(corpus.path), str(corpus.out / "copy")])


def validators(corpus: Corpus, repeat: int) -> dict[str, Any]:
    """Measure programs that only check."""
    programs = {OURS: ours(corpus, corpus.path, OURS)}
    for name, program in VALIDATORS.items():
        programs[name] = Program([str(TOOLS_PYTHON), f"bench/others/{program}.py", str(corpus.path)])
    say(f"{'; '.join(programs)}: {corpus.megabytes:,.0f} MB, {times(repeat)}")
    return {name: summary(costs, corpus.megabytes) for name, costs in take_turns(programs, repeat).items()}


def formats(corpus: Corpus, repeat: int) -> dict[str, Any]:
    """Measure this package on the same rows in other formats."""
    expected = kept(*corpus.outputs(OURS))
    programs = {"jsonl": ours(corpus, corpus.path, OURS)}
    found: dict[str, Any] = {}
    for name in FORMATS:
        path = corpus.out / f"corpus.{name}"
        say(f"the corpus as {name}")
        child("bench.corpora", name, str(corpus.path), str(path))
        program = ours(corpus, path, name)
        try:
            take_turns({name: program}, 1)
        except BenchError as refused:
            found[name] = {"failed": str(refused)}
            continue
        found[name] = {
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "same_rows": kept(*corpus.outputs(name)) == expected,
        }
        programs[name] = program
    say(f"{'; '.join(programs)}, {times(repeat)}")
    for name, costs in take_turns(programs, repeat).items():
        found.setdefault(name, {}).update(summary(costs, corpus.megabytes))
    return found


def corpus(folder: Path, megabytes: int) -> Corpus:
    """Generate a corpus of which every line is JSON: many tools give up at the first one that is not."""
    path = folder / f"corpus-{megabytes}.jsonl"
    say(f"a corpus of {megabytes:,} MB")
    command = [sys.executable, "bench/dataset.py", "--generate", str(path), "--mb", str(megabytes), "--well-formed"]
    subprocess.run(command, cwd=ROOT, check=True)
    return Corpus(path, folder / f"out-{megabytes}")


def described(corpus: Corpus) -> dict[str, Any]:
    """What this package's report says of a corpus."""
    report = json.loads((corpus.out / OURS / "report.json").read_bytes())
    names = ("rows_read", "rows_kept", "rows_train", "rows_test", "rows_duplicate", "rows_rejected")
    return {name: report[name] for name in names}


def kept(train: Path, test: Path) -> Any:
    """Rows and digests of both files; compared in a process of its own."""
    return json.loads(child("bench.kept", str(train), str(test)))


def child(module: str, *arguments: str) -> str:
    """Run one of the bench's own modules. Returns: what it printed."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def workspace(asked: argparse.Namespace) -> Iterator[Path]:
    """A folder that goes away; on a RAM disk where there is room for six times the largest corpus."""
    memory = Path("/dev/shm")
    needed = 6e6 * max(asked.mb, asked.large_mb)
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > needed
    parent = asked.directory or (memory if has_room else Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix="preparation-bench-", dir=parent) as name:
        yield Path(name)


def machine() -> str:
    """Name the machine: processor, number of cores, memory, Python."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    python = f"Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {gigabytes:.0f} GB, {platform.system()}, {python}"


def versions() -> dict[str, str]:
    """Versions of the other tools."""
    code = (
        f"import json; from importlib.metadata import version; print(json.dumps({{p: version(p) for p in {PACKAGES}}}))"
    )
    if not TOOLS_PYTHON.exists():
        raise SystemExit("The other tools are not installed: run `make .venv-bench/.installed` first.")
    found = subprocess.run([str(TOOLS_PYTHON), "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(found)


def times(repeat: int) -> str:
    """A number of runs in words."""
    return "once" if repeat == 1 else f"{repeat} times"


def say(what: str) -> None:
    """Tell a person who waits what is done now."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
