"""What preparation must reach: ratios within one run, and peaks of memory. A bench is no test: nothing fails here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.measuring import ratio

TABLE_BYTES = 32
"""What the duplicate table may take for a row."""
_OURS = "finetune-functions"
_Results = Mapping[str, Any]


def judge(results: _Results) -> list[dict[str, Any]]:
    """Hold what was measured against every goal. Returns: for each what is wanted, what was reached, and if it is met.

    What could not be measured is not met; `reached` is None then.
    """
    return [*_against_others(results), *_memory(results), *_formats(results), *_same_rows(results)]


def _against_others(results: _Results) -> list[dict[str, Any]]:
    tools, checks = results["tools"], results["validators"]
    ours = tools[_OURS]

    def cheapest(prefix: str) -> float:
        return min(ratio(cost, ours) for name, cost in tools.items() if name.startswith(prefix))

    goals = [
        _at_least("CPU of pandas, whole file, by ours", 10, ratio(tools["pandas, whole file"], ours)),
        _at_least("CPU of pandas, chunks, by ours", 5, ratio(tools["pandas, chunks"], ours)),
        _at_least("CPU of Hugging Face datasets (the cheaper way) by ours", 5, cheapest("datasets")),
        _at_least("CPU of polars (the cheaper way) by ours", 1, cheapest("polars")),
        _at_least("share of the ceiling", 0.65, ratio(tools["ceiling"], ours)),
    ]
    goals += [
        _at_least(f"CPU of {name} by ours", 1, ratio(cost, checks[_OURS]))
        for name, cost in checks.items()
        if name != _OURS
    ]
    return goals


def _memory(results: _Results) -> list[dict[str, Any]]:
    small, rows = results["tools"][_OURS]["peak_mb"], results["corpus"]["rows_kept"]
    goals = [_at_most("peak memory on disk, MB", 64 + _table_mb(rows), small)]
    goals.append(_at_most("peak memory through blobs, MB", 128, results["blobs"]["small"]["peak_mb"]))
    if "tools_large" in results:
        large, more_rows = results["tools_large"][_OURS]["peak_mb"], results["corpus_large"]["rows_kept"]
        goals += [
            _at_most("peak memory on disk, large, MB", 64 + _table_mb(more_rows), large),
            _at_most("growth from small to large, MB", _table_mb(more_rows), large - small),
            _at_most("peak memory through blobs, large, MB", 128, results["blobs"]["large"]["peak_mb"]),
        ]
    return goals


def _formats(results: _Results) -> list[dict[str, Any]]:
    formats = results["formats"]

    def against_plain(name: str) -> float | None:
        return ratio(formats[name], formats["jsonl"]) if "cpu_s" in formats[name] else None

    def rate(name: str) -> float | None:
        cost = against_plain(name)
        return 1 / cost if cost else None

    return [
        _at_least("rate of gzip by plain", 0.6, rate("jsonl.gz")),
        _at_least("rate of zstd by plain", 0.6, rate("jsonl.zst")),
        _at_most("CPU of Parquet by plain", 2, against_plain("parquet")),
    ]


def _same_rows(results: _Results) -> list[dict[str, Any]]:
    sections = [results["tools"], results.get("tools_large", {}), results["formats"], results["blobs"]]
    said = [cost["same_rows"] for section in sections for cost in section.values() if "same_rows" in cost]
    return [_at_least("share of preparations with the same rows", 1, sum(said) / len(said))]


def _table_mb(rows: int) -> float:
    return TABLE_BYTES * rows / 1e6


def _at_least(name: str, wanted: float, reached: float | None) -> dict[str, Any]:
    return _goal(name, f"at least {wanted:g}", reached, lambda value: value >= wanted)


def _at_most(name: str, wanted: float, reached: float | None) -> dict[str, Any]:
    return _goal(name, f"at most {wanted:.3g}", reached, lambda value: value <= wanted)


def _goal(name: str, wanted: str, reached: float | None, is_met: Callable[[float], bool]) -> dict[str, Any]:
    return {
        "name": name,
        "wanted": wanted,
        "reached": None if reached is None else round(reached, 2),
        "met": reached is not None and is_met(reached),
    }


def as_text(goals: list[dict[str, Any]]) -> str:
    """The goals as a table for a terminal."""
    width = max(len(goal["name"]) for goal in goals)
    return "\n".join(_line(goal, width) for goal in goals)


def _line(goal: dict[str, Any], width: int) -> str:
    reached = "none" if goal["reached"] is None else f"{goal['reached']:g}"
    return f"{goal['name']:<{width}}  {goal['wanted']:<14}  {reached:>8}  {'met' if goal['met'] else 'NOT MET'}"
