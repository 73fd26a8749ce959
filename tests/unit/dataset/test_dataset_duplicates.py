"""The table of digests."""

from __future__ import annotations

import hashlib
import sys

from shared.dataset.duplicates import DuplicateTable


def _digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()[:16]


def test_every_digest_is_new_once():
    table = DuplicateTable()

    assert all(table.add(_digest(number)) for number in range(30_000))
    assert not any(table.add(_digest(number)) for number in range(30_000))
    assert len(table) == 30_000


def test_digest_across_two_others_is_not_found():
    table = DuplicateTable()
    first, second = b"\x00" * 8 + b"\x01" * 8, b"\x00" * 4 + b"\x02" * 4 + b"\x03" * 8
    across = first[8:] + second[:8]
    table.add(first)
    table.add(second)

    assert table.add(b"\x00" * 4 + across[4:])
    assert not table.add(first)


def test_same_prefix_does_not_break_growing():
    table = DuplicateTable()
    digests = [b"\x00\x00\x00\x00" + number.to_bytes(12, "big") for number in range(6_000)]

    assert all(map(table.add, digests))
    assert not any(map(table.add, digests))


def test_memory_stays_below_32_bytes_a_row():
    table = DuplicateTable()
    for number in range(100_000):
        table.add(_digest(number))
        if number > 20_000 and number % 5_000 == 0:
            size = sys.getsizeof(table._buckets) + sum(map(sys.getsizeof, table._buckets))
            assert size <= 32 * len(table)
