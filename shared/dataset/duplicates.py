"""A set of digests that stays small."""

from __future__ import annotations

import secrets
from array import array

_FIRST_SLOTS = 1024


class DuplicateTable:
    """Remembers digests by their first 64 bits, in at most 32 bytes each, also while it grows.

    A Python set takes 97 bytes a digest. This is a table with open addressing, at most three quarters full; growing
    holds the old one and one of twice its size. Of ten million different rows, two share their 64 bits with a chance
    of three in a million. Where a digest is looked for depends on a secret, or else one could make rows that all lie
    in the same place.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._mask = _FIRST_SLOTS - 1
        self._most = _FIRST_SLOTS * 3 // 4
        self._odd = secrets.randbits(64) | 1
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def __contains__(self, digest: bytes) -> bool:
        number = int.from_bytes(digest[:8], "little") or 1
        return self._slots[self._place(number)] == number

    def add(self, digest: bytes) -> bool:
        """Remember a digest. Returns: True if it is new, False if it was there already."""
        number = int.from_bytes(digest[:8], "little") or 1  # zero is an empty slot
        slots, mask = self._slots, self._mask
        at = (number * self._odd >> 32) & mask
        while held := slots[at]:
            if held == number:
                return False
            at = (at + 1) & mask
        slots[at] = number
        self._rows += 1
        if self._rows > self._most:
            self._grow()
        return True

    def _place(self, number: int) -> int:
        """Where a number lies, or would lie."""
        slots, mask = self._slots, self._mask
        at = (number * self._odd >> 32) & mask
        while slots[at] not in (0, number):
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old = self._slots
        size = 2 * len(old)
        self._slots = array("Q", bytes(8)) * size
        self._mask = size - 1
        self._most = size * 3 // 4
        for number in old:
            if number:
                self._slots[self._place(number)] = number
