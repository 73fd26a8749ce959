"""How long conversations are for the model: read from a histogram, cut at the longest sequence."""

from __future__ import annotations

from shared.dataset.report import Histogram


class Lengths:
    """Means over the conversations, in tokens.

    mean: after the cut; mean_cut: what the cut takes away. attended: how many tokens an average token sees in its
    conversation, where long conversations weigh more.
    """

    def __init__(self, lengths: Histogram, longest: int | None, tokens_cut: int | None) -> None:
        """longest: where conversations are cut. tokens_cut: what that takes away in all, if it was counted."""
        self._points = _points(lengths)
        whole = sum(length * count for length, count in self._points)
        if longest is not None:
            self._points = [(min(length, float(longest)), count) for length, count in self._points]
        left = sum(length * count for length, count in self._points)
        if tokens_cut is not None:
            self._scale(max(0.0, lengths.total - tokens_cut) / left if left else 1.0)
            left = max(0.0, lengths.total - tokens_cut)
        self.mean = left / lengths.count
        self.mean_cut = max(0.0, whole - left) / lengths.count
        squares = sum(length * length * count for length, count in self._points)
        self.attended = squares / left if left else 0.0

    def _scale(self, factor: float) -> None:
        self._points = [(length * factor, count) for length, count in self._points]

    def padded(self, batch_size: int) -> float:
        """Tokens that a conversation takes in a batch of random ones, each padded to the longest of them."""
        rows = sum(count for _, count in self._points)
        expected = below = 0.0
        seen = 0
        for length, count in sorted(self._points):
            seen += count
            share = (seen / rows) ** max(1, batch_size)
            expected += length * (share - below)
            below = share
        return max(self.mean, expected)


def _points(lengths: Histogram) -> list[tuple[float, int]]:
    """(length, conversations) of each bucket: its middle, moved so that all lengths add up to the histogram's total."""
    middles = [
        ((max(bucket.lower, lengths.minimum) + min(bucket.upper, lengths.maximum)) / 2, bucket.count)
        for bucket in lengths.buckets
        if bucket.count > 0
    ]
    total = sum(length * count for length, count in middles)
    factor = lengths.total / total if total else 1.0
    return [(length * factor, count) for length, count in middles]
