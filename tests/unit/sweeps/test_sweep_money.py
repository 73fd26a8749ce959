"""What the ledger's lines have saved: each until the thing it removed was there again, and for 30 days at most."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.sweeps.money import hours_saved

START = datetime(2026, 11, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def removed(hours: float, *, since: float = 0, action: str = "removed", deployment: str = "") -> dict[str, Any]:
    return {"At": at(hours), "Since": at(since), "Action": action, "Deployment": deployment}


def hours(*entries: dict[str, Any], back_at: float, now: float) -> list[float]:
    """How many hours each entry saved, in the order of the entries."""
    found = {entry["At"]: saved for entry, saved in hours_saved(list(entries), at(back_at), at(now))}
    return [found[entry["At"]] for entry in entries]


def test_an_endpoint_saves_until_it_is_back() -> None:
    assert hours(removed(10), back_at=14, now=100) == [4]


def test_an_endpoint_that_stays_away_saves_until_now_and_for_thirty_days_at_most() -> None:
    assert hours(removed(10), back_at=100, now=100) == [90]
    assert hours(removed(10), back_at=2000, now=2000) == [720]


def test_each_removal_of_an_endpoint_saves_until_its_next_life() -> None:
    assert hours(removed(10), removed(30, since=15), back_at=40, now=100) == [5, 10]


def test_a_row_written_before_there_were_lines_for_deployments_counts_as_an_endpoint() -> None:
    old = removed(10)
    del old["Deployment"]
    assert hours(old, back_at=14, now=100) == [4]


def test_what_was_scaled_down_saves_while_its_run_is_live() -> None:
    assert hours(removed(10, action="scaled_down"), back_at=0, now=100) == [90]


def test_a_deployment_beside_a_live_one_saves_although_the_endpoint_is_there() -> None:
    assert hours(removed(10, action="emptied", deployment="green"), back_at=0, now=100) == [90]


def test_a_deployment_saves_until_its_endpoint_goes_or_another_of_its_name_does() -> None:
    green = removed(10, action="emptied", deployment="green")
    other = removed(15, action="emptied", deployment="blue")
    again = removed(30, action="emptied", deployment="green")
    assert hours(green, other, again, removed(50), back_at=100, now=100) == [20, 35, 20, 50]


def test_a_deployment_removed_meanwhile_is_no_next_life_of_the_endpoint() -> None:
    green = removed(30, since=30, action="emptied", deployment="green")
    assert hours(removed(10), green, back_at=14, now=100) == [4, 70]
