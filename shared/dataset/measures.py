"""How long the kept conversations are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shared.dataset.report import Bucket, Histogram

# Messages, characters of all of them, characters of the prompt, bytes of the row as JSON without its prompt_id.
Measured = tuple[int, int, int, int]


class Measures:
    """Distributions over the kept rows."""

    def __init__(self) -> None:
        self.turns = Distribution(exact=32)
        self.characters = Distribution(exact=1)
        self.approx_tokens = Distribution(exact=1)

    def count(self, rows: Sequence[Measured]) -> None:
        """Count many rows at once."""
        if rows:
            self.turns.add([row[0] - row[0] % 2 for row in rows])  # an odd message is the system's
            self.characters.add([row[1] for row in rows])
            self.approx_tokens.add([approx_tokens(*row) for row in rows])


def approx_tokens(messages: int, characters: int, prompt_characters: int, encoded_bytes: int) -> int:
    """Estimate tokens from characters: four of English, one of Chinese or Japanese, each a token.

    What the row is longer than its characters (and about 30 bytes of JSON a message) comes from escapes and from
    characters of several bytes: both take more tokens. The row holds the prompt twice, so that only the messages' share
    of it counts. The chat template adds about 4 tokens a message.
    """
    twice = characters + prompt_characters
    surplus = max(0, encoded_bytes - twice - 30 * messages - 22) * characters // max(1, twice)
    return (5 * characters + 7 * surplus) // 20 + 4 * messages


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
