import random

from local.training.batches import epoch_batches, parts, shares
from local.training.preprocess import Row


def rows(*lengths: int) -> list[Row]:
    return [Row([n] * n, [n] * n) for n in lengths]


def lengths(of: list[Row]) -> list[int]:
    return [len(row.ids) for row in of]


def test_an_epoch_has_every_row_once() -> None:
    data = rows(*range(1, 24))
    batches = epoch_batches(data, 4, random.Random(1))
    assert [len(batch) for batch in batches].count(4) == 5
    assert sorted(lengths([row for batch in batches for row in batch])) == list(range(1, 24))


def test_same_seed_gives_the_same_batches() -> None:
    data = rows(*range(1, 24))
    assert epoch_batches(data, 4, random.Random(7)) == epoch_batches(data, 4, random.Random(7))


def test_parts_stay_within_the_tokens_unless_a_row_alone_is_longer() -> None:
    found = [lengths(part) for part in parts(rows(50, 10, 120, 40, 20), 100)]
    assert found == [[10, 20], [40, 50], [120]]
    assert all(len(part) * max(part) <= 100 for part in found[:-1])


def test_shares_are_of_similar_size_and_lose_no_row() -> None:
    dealt = [lengths(share) for share in shares(rows(50, 10, 30, 20), 2)]
    assert dealt == [[50, 10], [30, 20]]


def test_fewer_rows_than_cores_leave_no_empty_share() -> None:
    assert [lengths(share) for share in shares(rows(5), 4)] == [[5]]
