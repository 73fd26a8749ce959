"""What is left of the counted requests when this app's own are taken away: never less than others made."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.traffic.readings import (
    MINUTE,
    Asked,
    Counted,
    Measured,
    OwnRequest,
    Reading,
    minute_of,
    reading,
    without_own,
)

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOW = NOON + timedelta(hours=4)


def counted(minute: float, requests: float = 1, deployment: str = "blue", status: str = "200") -> Counted:
    return Counted(NOON + minute * MINUTE, deployment, status, requests)


def own(start: float, end: float | None = None, deployment: str = "blue") -> OwnRequest:
    """Args: start, end: minutes after noon."""
    return OwnRequest("bot", deployment, NOON + start * MINUTE, NOON + (start if end is None else end) * MINUTE)


def read(
    requests: Sequence[Counted],
    mine: Sequence[OwnRequest] = (),
    connected: dict[datetime, float] | None = None,
    alive: dict[str, datetime] | None = None,
    since: datetime = NOON,
    now: datetime = NOW,
) -> Reading:
    asked = Asked("bot", "/id", "eastus", since, ("blue",), mine)
    return reading(asked, Measured(requests, connected or {}, alive or {}), now)


def left(requests: Sequence[Counted], *mine: OwnRequest) -> dict[float, float]:
    """Return the requests that are left, by minutes after noon."""
    return {(one.minute - NOON) / MINUTE: one.requests for one in without_own(requests, mine)}


@pytest.mark.parametrize("minute", [5, 6, 7])
def test_an_own_request_takes_one_away_from_its_start_to_a_minute_after_its_end(minute: int) -> None:
    assert left([counted(minute)], own(5.5, 6.2)) == {}
    assert left([counted(minute, 3)], own(5.5, 6.2)) == {minute: 2}


@pytest.mark.parametrize("minute", [3, 4, 8, 100])
def test_it_takes_none_away_elsewhere(minute: int) -> None:
    assert left([counted(minute)], own(5.5, 6.2)) == {minute: 1}


def test_it_takes_none_of_another_deployment_and_none_that_failed() -> None:
    assert left([counted(5, deployment="green")], own(5)) == {5: 1}
    assert left([counted(5, status="404"), counted(6, status="424")], own(5)) == {5: 1, 6: 1}
    assert left([counted(5, deployment="blue")], own(5, deployment="Blue")) == {}


def test_it_takes_one_only_once() -> None:
    assert left([counted(5), counted(6)], own(5)) == {6: 1}
    assert left([counted(5), counted(6)], own(5), own(5), own(5)) == {}


def test_less_than_a_whole_request_is_left_alone() -> None:
    assert left([counted(5, 0.5)], own(5)) == {5: 0.5}


def test_another_ones_request_of_the_same_minute_and_another_status_stays() -> None:
    assert left([counted(5), counted(5, status="401")], own(5)) == {5: 1}


def test_a_young_own_request_is_not_taken_away_yet() -> None:
    """The one that is counted may be another's, and this app's own not counted yet."""
    at = (NOW - NOON) / MINUTE
    assert read([counted(at - 4)], [own(at - 4)]).use().requests == 1
    assert read([counted(at - 5)], [own(at - 5)]).use().requests == 0


def test_one_that_began_before_the_window_takes_none_within() -> None:
    """It was counted before the window, perhaps; the first minute's request was another's."""
    assert read([counted(0)], [own(-0.5, 0.1)]).use().requests == 1
    assert read([counted(0)], [own(0, 0.1)]).use().requests == 0


def test_the_minute_in_which_the_window_begins_counts_as_a_whole() -> None:
    within = NOON + timedelta(seconds=59)
    assert read([counted(0), counted(-1)], since=within).use().requests == 1
    assert minute_of(within) == NOON


def test_own_requests_are_counted_and_are_no_use() -> None:
    found = read([counted(1, 2), counted(9, 5)], [own(1), own(1), own(9)])
    assert (found.own_requests, found.use().requests, found.use().last_request_at) == (3, 4, NOON + 9 * MINUTE)


def test_a_deployment_has_its_own_use() -> None:
    alive = {"blue": NOON + 30 * MINUTE, "green": NOON + 20 * MINUTE}
    found = read([counted(1), counted(7, deployment="green"), counted(9, 2, "gone")], alive=alive)
    assert (found.use().requests, found.use().known_until) == (4, NOON + 30 * MINUTE)
    assert (found.use("GREEN").requests, found.use("green").known_until) == (1, NOON + 20 * MINUTE)
    other = found.use("other")
    assert (other.requests, other.last_request_at, other.known_until) == (0, None, None)


@pytest.mark.parametrize(
    ("clients", "mine", "minute"),
    [
        ({5: 1}, [], 5),
        ({5: 0}, [], None),
        ({5: 1}, [own(5)], None),
        ({5: 1, 6: 1}, [own(5)], None),
        ({5: 2}, [own(5)], 5),
        ({5: 2}, [own(5), own(5)], None),
        ({5: 1, 7: 1}, [own(5)], 7),
        ({-1: 9}, [], None),
    ],
)
def test_a_client_that_is_this_app_is_not_connected(
    clients: dict[int, float], mine: list[OwnRequest], minute: int | None
) -> None:
    connected = {NOON + at * MINUTE: float(number) for at, number in clients.items()}
    expected = None if minute is None else NOON + minute * MINUTE
    assert read([], mine, connected).use().connected_at == expected


_MINUTES = st.integers(0, 60)
_OTHERS = st.lists(st.tuples(_MINUTES, st.sampled_from(["blue", "green"]), st.sampled_from(["200", "404"])), max_size=8)
_MINE = st.lists(st.tuples(_MINUTES, st.integers(0, 2), st.sampled_from(["blue", "green"])), max_size=8)


@given(_OTHERS, _MINE)
def test_whoever_else_asked_stays_as_long_as_own_requests_are_counted(
    others: list[tuple[int, str, str]], mine: list[tuple[int, int, str]]
) -> None:
    """However own requests and others' fall together: exactly as many are left as others made."""
    total: dict[tuple[int, str, str], int] = {}
    for key in [*others, *((minute + late, deployment, "200") for minute, late, deployment in mine)]:
        total[key] = total.get(key, 0) + 1
    requests = [counted(minute, number, deployment, status) for (minute, deployment, status), number in total.items()]
    requests_of_own = [own(minute + 0.1, minute + late + 0.2, deployment) for minute, late, deployment in mine]
    remaining = without_own(requests, requests_of_own)
    assert sum(one.requests for one in remaining) >= len(others)
    newest = max((NOON + minute * MINUTE for minute, _, _ in others), default=None)
    found = read(requests, requests_of_own).use().last_request_at
    assert newest is None or (found is not None and found >= newest - 3 * MINUTE)


def test_requests_are_counted_since_a_time_though_more_was_read() -> None:
    use = read([counted(5, 3), counted(90, 2)]).use(since=NOON + timedelta(hours=1))
    assert (use.requests, use.last_request_at) == (2, NOON + 90 * MINUTE)
    old = read([counted(5, 3)]).use(since=NOON + 6 * MINUTE)
    assert (old.requests, old.last_request_at) == (0, NOON + 5 * MINUTE)
    assert read([counted(5, 3)]).use(since=NOON + 5.9 * MINUTE).requests == 3
