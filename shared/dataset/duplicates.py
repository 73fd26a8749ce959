"""A set of 128-bit digests that stays small."""

from __future__ import annotations

_DIGEST = 16
_FIRST_BUCKETS = 64
_ROWS_A_BUCKET = 64


class DuplicateTable:
    """Remembers 16-byte digests in at most 32 bytes each.

    A Python set takes 97 bytes a digest. Open addressing in one array is compact too, but probes in Python and, when it
    grows, holds two arrays at once. Here digests lie one behind the other in many short buckets, searched by
    bytearray.find; growing splits one bucket at a time (linear hashing), so that memory has no peaks.
    """

    def __init__(self) -> None:
        self._mask = _FIRST_BUCKETS - 1
        self._wider_mask = 2 * _FIRST_BUCKETS - 1
        self._split = 0  # buckets before this one are told apart by one bit more
        self._buckets = [bytearray() for _ in range(_FIRST_BUCKETS)]
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, digest: bytes) -> bool:
        """Remember a digest. Returns: True if it is new, False if it was there already."""
        number = int.from_bytes(digest[:4], "little")
        index = number & self._mask
        bucket = self._buckets[index if index >= self._split else number & self._wider_mask]
        at = bucket.find(digest)
        while at > 0 and at % _DIGEST:
            at = bucket.find(digest, at + 1)
        if at >= 0:
            return False
        bucket += digest
        self._rows += 1
        if self._rows > _ROWS_A_BUCKET * len(self._buckets):
            self._grow()
        return True

    def _grow(self) -> None:
        """Split the next bucket in two by one more bit of the digests."""
        old = self._buckets[self._split]
        bit = self._mask + 1
        stay, move = bytearray(), bytearray()
        for at in range(0, len(old), _DIGEST):
            digest = old[at : at + _DIGEST]
            side = move if int.from_bytes(digest[:4], "little") & bit else stay
            side += digest
        self._buckets[self._split] = stay
        self._buckets.append(move)
        self._split += 1
        if self._split == bit:
            self._split = 0
            self._mask, self._wider_mask = self._wider_mask, 2 * self._wider_mask + 1
