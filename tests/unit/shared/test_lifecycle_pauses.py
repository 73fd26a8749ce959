from datetime import timedelta

from shared.runs.lifecycle import LONGEST_PAUSE, pause_after


def test_pauses_grow_within_bounds() -> None:
    for attempts in range(1, 40):
        longest = min(LONGEST_PAUSE, timedelta(seconds=5) * 2 ** min(attempts, 20))
        assert longest / 2 <= pause_after(attempts) <= longest


def test_what_azure_asks_for_is_honoured() -> None:
    assert pause_after(1, timedelta(minutes=30)) == timedelta(minutes=30)
