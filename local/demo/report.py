"""What is made of the story: the headline, the times of the states, the last sentence."""

from datetime import datetime
from itertools import pairwise
from typing import Any


def headline(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Pick the question of the headline: the first whose answer the base model does not know, however the tuned did."""
    learned = [result for result in results if result["kind"] != "general"]
    judged = [result for result in learned if result["fact"] is not None] or learned
    first = next((result for result in judged if not result["base_contains_fact"]), judged[0])
    return {
        "question": first["question"],
        "fact": first["fact"],
        "base_answer": first["base_answer"],
        "tuned_answer": first["tuned_answer"],
        "answer_contains_fact": first["tuned_contains_fact"],
        "questions": results,
    }


def states(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every state with the time it began and how long it lasted."""
    changes = run["history"]
    times = [datetime.fromisoformat(change["at"]) for change in changes]
    lasted = [round((after - at).total_seconds(), 1) for at, after in pairwise(times)]
    return [
        {"state": change["to_state"], "at": change["at"], "trigger": change["trigger"], "seconds": seconds}
        for change, seconds in zip(changes, [*lasted, None], strict=True)
    ]


def moral(report: dict[str, Any], path: str) -> str:
    """Return the last sentence of the story."""
    judged = [r for r in report["questions"] if r["kind"] != "general" and r["fact"] is not None]
    before = sum(bool(result["base_contains_fact"]) for result in judged)
    after = sum(bool(result["tuned_contains_fact"]) for result in judged)
    memory = f", {report['peak_memory_mb']:,} MB of memory at most" if report["peak_memory_mb"] else ""
    return (
        f"Of {len(judged)} questions about the dataset the base model knew {before}, the tuned one {after}. "
        f"The endpoint is gone. {report['seconds']:.0f} s{memory}. Everything is in {path}."
    )
