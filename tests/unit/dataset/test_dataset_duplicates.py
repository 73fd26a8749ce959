"""The table of digests."""

from __future__ import annotations

import hashlib
import tracemalloc

from shared.dataset.duplicates import DuplicateTable


def _digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()[:16]


def test_every_digest_is_new_once():
    table = DuplicateTable()

    assert all(table.add(_digest(number)) for number in range(30_000))
    assert not any(table.add(_digest(number)) for number in range(30_000))
    assert len(table) == 30_000


def test_what_is_there_is_contained():
    table = DuplicateTable()
    for number in range(5_000):
        table.add(_digest(number))

    assert all(_digest(number) in table for number in range(5_000))
    assert not any(_digest(number) in table for number in range(5_000, 10_000))


def test_zeros_are_a_digest_like_any_other():
    table = DuplicateTable()

    assert bytes(16) not in table
    assert table.add(bytes(16))
    assert not table.add(bytes(16))


def test_same_prefix_does_not_break_growing():
    table = DuplicateTable()
    digests = [bytes(4) + number.to_bytes(4, "big") + bytes(8) for number in range(6_000)]

    assert all(map(table.add, digests))
    assert not any(map(table.add, digests))


def test_memory_stays_below_32_bytes_a_row_also_while_growing():
    digests = [_digest(number) for number in range(100_000)]
    tracemalloc.start()
    table = DuplicateTable()
    for number, digest in enumerate(digests, 1):
        table.add(digest)
        if number > 5_000:
            assert tracemalloc.get_traced_memory()[1] <= 32 * number + 4_096
    tracemalloc.stop()
