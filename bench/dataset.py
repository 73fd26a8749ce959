"""How close dataset preparation comes to what the machine can do: `python bench/dataset.py --mb 300`.

A corpus of chat rows is generated (the same bytes for the same size and style). Then whole processes are measured, CPU
seconds (user and system) and peak memory, the median of several runs:

* ceiling: copy the file in blocks, and decode and encode every line with msgspec alone; nothing is checked or kept.
* prepare: `python -m shared.dataset`, with every check, duplicates, split, report.

The ratio is what matters (the median over pairs of runs side by side); MB/s are the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 1024 * 1024
STYLES = ("compact", "spaced", "escaped", "openai", "openai-weights", "japanese", "short")
_TEXT = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one
you were all her she there would their we him been has when who will no more if out so up said what its about than
model training data function memory answer question because between different system result number example often
however, therefore, first, second. Finally, "quoted" words; it's
"""
_WORDS = _TEXT.split()
_KANA = "日本語の会話データを準備する関数は、速くて正しい。質問と答えが続きます。メモリは少なく"


def rows(style: str, seed: int, malformed: bool = True) -> Iterator[bytes]:
    """Generate lines for ever: about 1 % broken in six ways, 2 % duplicates, 3 % with a system message.

    One duplicate in ten is written with other white space and escapes than its first: the same content in other bytes.
    malformed: whether one of the six ways is a line that is no JSON, at which many tools give up.
    """
    chance = random.Random(seed)
    pool = [_text(chance, style) for _ in range(2000)]
    earlier: list[bytes] = []
    number = 0
    while True:
        number += 1
        if earlier and chance.random() < 0.02:
            again = chance.choice(earlier)
            yield again if chance.random() < 0.9 else json.dumps(json.loads(again)).encode()
            continue
        row = _row(chance, pool, number, style)
        if chance.random() < 0.01:
            yield _broken(chance, row, malformed)
            continue
        line = _dump(row, style)
        if number % 50 == 0 and len(earlier) < 500:
            earlier.append(line)
        yield line


def _text(chance: random.Random, style: str) -> str:
    if style == "japanese":
        return "".join(chance.choices(_KANA, k=chance.randint(100, 500)))
    count = chance.randint(3, 20) if style == "short" else chance.randint(80, 330)
    words = chance.choices(_WORDS, k=count)
    for at in range(40, count, 40):  # paragraphs, and a letter beyond ASCII here and there
        words[at] += "\n\n" if chance.random() < 0.7 else " café"
    return " ".join(words)


def _row(chance: random.Random, pool: list[str], number: int, style: str) -> dict[str, Any]:
    turns = 1 if style == "short" else chance.randint(2, 5)
    messages: list[dict[str, Any]] = []
    if chance.random() < 0.03:
        messages.append({"content": "You are a helpful assistant.", "role": "system"})
    prompt = f"{number}: {chance.choice(pool)}"
    for turn in range(turns):
        messages.append({"content": chance.choice(pool) if turn else prompt, "role": "user"})
        messages.append({"content": chance.choice(pool), "role": "assistant"})
    if style == "openai-weights":
        messages[-1]["weight"] = 1
    if style.startswith("openai"):
        return {"messages": messages}
    return {"prompt": prompt, "messages": messages, "prompt_id": f"{number:064x}"}


def _broken(chance: random.Random, row: dict[str, Any], malformed: bool) -> bytes:
    messages = row["messages"]
    kind = chance.randrange(0 if malformed else 1, 6)
    if kind == 0:
        return _dump(row, "compact")[:-20]
    if kind == 1:
        messages[0]["role"] = "narrator"
    elif kind == 2:
        messages[-1]["content"] = "  "
    elif kind == 3:
        messages.append(messages[-1])
    elif kind == 4:
        del row["messages"]
    else:
        messages[-1]["content"] = None
    return _dump(row, "compact")


def _dump(row: dict[str, Any], style: str) -> bytes:
    if style == "escaped":
        return json.dumps(row).encode()
    separators = (", ", ": ") if style == "spaced" else (",", ":")
    return json.dumps(row, ensure_ascii=False, separators=separators).encode()


def generate(path: Path, megabytes: int, style: str = "compact", seed: int = 1, malformed: bool = True) -> None:
    """Write a corpus of about `megabytes`."""
    left = megabytes * 1_000_000
    with path.open("wb", buffering=BLOCK) as file:
        for line in rows(style, seed, malformed):
            left -= file.write(line + b"\n")
            if left <= 0:
                return


def ceiling(source: Path, target: Path) -> None:
    """Copy a file and decode and encode its lines, with nothing in between."""
    import msgspec  # as heavy a start as the package's own

    from shared.dataset.rows import decode_row, encode_row

    tail = b""
    with source.open("rb", buffering=0) as reader, target.open("wb", buffering=0) as writer:
        while block := reader.read(BLOCK):
            writer.write(block)
            start = block.find(b"\n") + 1
            for line in (tail + block[:start],) if start else ():
                _try(decode_row, encode_row, line, msgspec.DecodeError)
            view = memoryview(block)
            while (end := block.find(b"\n", start)) >= 0:
                _try(decode_row, encode_row, view[start:end], msgspec.DecodeError)
                start = end + 1
            tail = block[start:]


def _try(decode: Any, encode: Any, line: Any, malformed: type[Exception]) -> None:
    try:
        encode(decode(line))
    except malformed:
        return


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command. Returns: CPU seconds and peak memory in MB of the whole process."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(corpus: Path, out: Path, repeat: int) -> dict[str, Any]:
    """Measure ceiling and preparation, taking turns so that a busy moment hits both."""
    commands = {
        "ceiling": [sys.executable, __file__, "--ceiling", str(corpus), str(out / "copy")],
        "prepare": [sys.executable, "-m", "shared.dataset", str(corpus), "--out", str(out)],
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            runs[name].append(measure(command))
    report = json.loads((out / "report.json").read_bytes())
    megabytes = corpus.stat().st_size / 1e6
    result: dict[str, Any] = {
        "megabytes": round(megabytes, 1),
        "rows_read": report["rows_read"],
        "rows_kept": report["rows_kept"],
    }
    for name, measured in runs.items():
        cpu = statistics.median(cpu for cpu, _ in measured)
        result[name] = {
            "cpu_s": round(cpu, 3),
            "mb_per_cpu_s": round(megabytes / cpu, 1),
            "peak_mb": round(max(peak for _, peak in measured), 1),
        }
    shares = [best / real for (best, _), (real, _) in zip(runs["ceiling"], runs["prepare"], strict=True)]
    result["share_of_ceiling"] = round(statistics.median(shares), 3)
    return result


def run(megabytes: int, repeat: int, styles: list[str], directory: Path | None = None) -> dict[str, Any]:
    """Measure every style of corpus. directory: where the files go; a RAM disk keeps the disk out of the numbers."""
    shared_memory = Path("/dev/shm")
    parent = directory or (shared_memory if shared_memory.is_dir() else Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix="dataset-bench-", dir=parent))
    try:
        results = {}
        for style in styles:
            corpus = folder / f"{style}.jsonl"
            generate(corpus, megabytes, style)
            results[style] = compare(corpus, folder, repeat)
            corpus.unlink()
    finally:
        shutil.rmtree(folder)
    return {
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
        "dataset": results,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--style", choices=STYLES, action="append", help="kinds of corpus; compact unless given")
    parser.add_argument("--directory", type=Path, help="for the files; /dev/shm unless given")
    parser.add_argument("--generate", type=Path, help="only write the corpus")
    parser.add_argument("--well-formed", action="store_true", help="with --generate: every line is JSON")
    parser.add_argument("--ceiling", type=Path, nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    styles = asked.style or ["compact"]
    if asked.ceiling:
        ceiling(*asked.ceiling)
    elif asked.generate:
        generate(asked.generate, asked.mb, styles[0], malformed=not asked.well_formed)
    else:
        print(json.dumps(run(asked.mb, asked.repeat, styles, asked.directory), indent=2))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
