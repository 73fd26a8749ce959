"""How alike two answers are."""

from __future__ import annotations


def similarity(answer: str, truth: str) -> float:
    """Return how much two texts have in common, 0 to 1: the F1 of their words.

    >>> similarity("The mayor is Ada.", "the mayor is Ada"), similarity("", "x")
    (1.0, 0.0)
    """
    ours, theirs = _words(answer), _words(truth)
    common = sum(min(ours.count(word), theirs.count(word)) for word in set(ours))
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


def _words(text: str) -> list[str]:
    return [word for raw in text.lower().split() if (word := "".join(c for c in raw if c.isalnum()))]
