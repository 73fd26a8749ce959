from datetime import timedelta

from shared.runs.machine import LONGEST_ASKED, LONGEST_PAUSE, pause_after


def test_pauses_grow_within_bounds() -> None:
    for attempts in range(1, 40):
        longest = min(LONGEST_PAUSE, timedelta(seconds=5) * 2 ** min(attempts, 20))
        assert longest / 2 <= pause_after(attempts) <= longest


def test_what_azure_asks_for_is_honoured_but_not_by_all_at_the_same_moment() -> None:
    asked = timedelta(minutes=30)
    pauses = {pause_after(1, asked) for _ in range(50)}
    assert all(asked <= pause <= asked * 1.1 for pause in pauses)
    assert len(pauses) > 10


def test_what_is_asked_for_has_its_bounds() -> None:
    assert pause_after(1, timedelta(days=3)) <= LONGEST_ASKED * 1.1
    assert pause_after(20, timedelta(seconds=1)) >= LONGEST_PAUSE / 2
