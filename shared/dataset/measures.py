"""How long the kept conversations are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shared.dataset import tokens
from shared.dataset.report import Bucket, Histogram
from shared.dataset.tokens import TokenCounter

# Messages, characters of all of them, characters of the prompt, bytes of the row as JSON without its prompt_id.
Measured = tuple[int, int, int, int]


class Measures:
    """Distributions over the kept rows. counter: counts tokens, which are estimated without it.

    context_window: tokens; what is longer is counted, and how many of its tokens would be cut off.
    """

    def __init__(self, context_window: int | None = None, counter: TokenCounter | None = None) -> None:
        self.turns = Distribution(exact=32)
        self.characters = Distribution(exact=1)
        self.approx_tokens = Distribution(exact=1)
        self.counter = counter
        self.texts: list[list[str]] = []
        self.rows_over_context = self.tokens_over_context = 0
        self._context_window = context_window

    def count(self, rows: Sequence[Measured]) -> None:
        """Count many rows at once; with a counter, their texts lie in `texts`."""
        if not rows:
            return
        self.turns.add([row[0] - row[0] % 2 for row in rows])  # an odd message is the system's
        self.characters.add([row[1] for row in rows])
        counts = self.counter.count(self.texts) if self.counter else [tokens.estimate(*row) for row in rows]
        self.texts.clear()
        self.approx_tokens.add(counts)
        if self._context_window is not None:
            over = [count - self._context_window for count in counts if count > self._context_window]
            self.rows_over_context += len(over)
            self.tokens_over_context += sum(over)


class Distribution:
    """Counts whole numbers: one bucket per value below `exact`, one per power of two from there."""

    def __init__(self, exact: int) -> None:
        self._exact = exact
        self._offset = exact - exact.bit_length()
        self._index = int.bit_length if exact == 1 else self._index_of
        self._counts: Counter[int] = Counter()
        self._count = self._total = self._maximum = 0
        self._minimum: int | None = None

    def add(self, values: Sequence[int]) -> None:
        """Count values, zero or more each; at least one of them."""
        self._counts.update(map(self._index, values))
        self._count += len(values)
        self._total += sum(values)
        self._maximum = max(self._maximum, max(values))
        lowest = min(values)
        self._minimum = lowest if self._minimum is None else min(self._minimum, lowest)

    def histogram(self) -> Histogram:
        """The distribution so far."""
        return Histogram(
            count=self._count,
            total=self._total,
            minimum=self._minimum or 0,
            maximum=self._maximum,
            mean=round(self._total / self._count, 2) if self._count else 0.0,
            buckets=[self._bucket(index) for index in sorted(self._counts)],
        )

    def _index_of(self, value: int) -> int:
        return value if value < self._exact else self._offset + value.bit_length()

    def _bucket(self, index: int) -> Bucket:
        if index < self._exact:
            return Bucket(index, index, self._counts[index])
        bits = index - self._offset
        return Bucket(1 << (bits - 1), (1 << bits) - 1, self._counts[index])
