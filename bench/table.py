"""`python -m bench.table`: put bench/results.json into the tables of docs/performance.md. The prose there stays."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.lifecycle import EXTRA, NEEDED
from bench.measuring import ROOT

RESULTS, PAGE = ROOT / "bench" / "results.json", ROOT / "docs" / "performance.md"
_Results = Mapping[str, Any]


def main() -> int:
    """Rewrite every part of the page between `<!-- NAME -->` and `<!-- /NAME -->`."""
    results = json.loads(RESULTS.read_text())
    page = PAGE.read_text()
    for name, part in PARTS.items():
        page = replace(page, name, part(results["preparation"]))
    if "lifecycle" in results:
        for name, part in LIFECYCLE.items():
            page = replace(page, name, part(results["lifecycle"]))
    PAGE.write_text(page)
    return 0


def replace(page: str, name: str, text: str) -> str:
    """Put a text between the marks of a name. Raises: ValueError: the page has no such marks."""
    before, opening, rest = page.partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not (opening and closing):
        raise ValueError(f"{PAGE.name} has no part {name}")
    return f"{before}{opening}\n{text}\n\n{closing}{after}"


def _machine(results: _Results) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    corpora = [_corpus(results[name]) for name in ("corpus", "corpus_large") if name in results]
    return "\n".join([f"{results['date']}. {results['machine']}.", f"{versions}.", *corpora])


def _corpus(corpus: _Results) -> str:
    return (
        f"Corpus of {corpus['megabytes']:,.0f} MB: {corpus['rows_read']:,} rows, {corpus['rows_kept']:,} kept "
        f"({corpus['rows_train']:,} to train, {corpus['rows_test']:,} to test), "
        f"{corpus['rows_duplicate']:,} duplicates, {corpus['rows_rejected']:,} refused."
    )


def _goals(results: _Results) -> str:
    rows = [(g["name"], g["wanted"], _number(g["reached"]), "yes" if g["met"] else "**no**") for g in results["goals"]]
    return _table(("Goal", "Wanted", "Reached", "Met"), rows)


def _tools(results: _Results) -> str:
    names = ("corpus", "corpus_large")
    sizes = [f"{results[name]['megabytes']:,.0f} MB" for name in names if name in results]
    columns = [column for size in sizes for column in (f"CPU s, {size}", "MB per CPU s", "Peak MB")]
    sections = [results["tools"], results.get("tools_large", {})][: len(sizes)]
    rows = [(name, *(cell for section in sections for cell in _cells(section.get(name)))) for name in results["tools"]]
    return _table(("", *columns), rows)


def _checks(results: _Results) -> str:
    rows = [(name, *_cells(cost)) for name, cost in results["validators"].items()]
    return _table(("", "CPU s", "MB per CPU s", "Peak MB"), rows)


def _formats(results: _Results) -> str:
    plain = results["formats"]["jsonl"]
    rows = []
    for name, cost in sorted(results["formats"].items(), key=lambda item: item[0] != "jsonl"):
        times = f"{cost['cpu_s'] / plain['cpu_s']:.2f}" if "cpu_s" in cost else "not read"
        file_mb = cost.get("file_mb", results["corpus"]["megabytes"])
        rows.append((name, _number(file_mb), *_cells(cost), times))
    return _table(("", "File MB", "CPU s", "MB of JSONL per CPU s", "Peak MB", "CPU by plain"), rows)


def _blobs(results: _Results) -> str:
    rows = [(_number(results["corpus"]["megabytes"]), *_cells(results["blobs"]["small"]))]
    if "large" in results["blobs"]:
        rows.append((_number(results["corpus_large"]["megabytes"]), *_cells(results["blobs"]["large"])))
    return _table(("MB", "CPU s of the client", "MB per CPU s", "Peak MB"), rows)


def _life(results: _Results) -> str:
    event = results["event_to_registered_s"]
    name = "from a job's event to its registered model, the slowest of seven"
    rows = [(name, "", "", event["wanted"], event["most"])]
    rows += [
        (
            f"one tick, {tick['runs']} runs {tick['what']}",
            *(tick[key] for key in ("workers", "cpu_s", "wanted", "seconds")),
        )
        for tick in results["tick"]
    ]
    head = ("", "Threads", "CPU s of the host", "Wanted, s", "Seconds")
    table = _table(head, [tuple(str(cell) for cell in row) for row in rows])
    return f"Measured while the machine's load was {results['load']:g} on {results['cores']} cores.\n\n{table}"


def _calls(results: _Results) -> str:
    rows = []
    for state, needed in NEEDED.items():
        made = {path: count for path, count in results["calls"].get(state, {}).items() if "storage" not in path}
        total, enough = sum(made.values()), sum(count for _, count, _ in needed)
        why = "; ".join(f"{what} {count} ({reason})" for what, count, reason in needed) or "none"
        extra = ", ".join(f"{path} {count}" for path, count in made.items() if EXTRA.search(path))
        storage = sum(count for path, count in results["calls"].get(state, {}).items() if "storage" in path)
        rows.append((state, str(total), str(enough), why, extra or "none", str(storage)))
    return _table(("State", "Made", "Needed", "What is needed", "The SDK's own", "Storage"), rows)


def _cells(cost: _Results | None) -> tuple[str, str, str]:
    if cost is None or "cpu_s" not in cost:
        return "", "", ""
    different = "" if cost.get("same_rows", True) else " (other rows!)"
    return f"{cost['cpu_s']:.2f}{different}", f"{cost['mb_per_cpu_s']:,.0f}", f"{cost['peak_mb']:,.0f}"


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS = {
    "machine": _machine,
    "goals": _goals,
    "tools": _tools,
    "checks": _checks,
    "formats": _formats,
    "blobs": _blobs,
}

LIFECYCLE = {"life": _life, "calls": _calls}

if __name__ == "__main__":
    sys.exit(main())
