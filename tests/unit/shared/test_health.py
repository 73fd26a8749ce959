"""Whether a new deployment does worse than the live one: a pure verdict over what Azure Monitor counted."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.health import LATENCY, REQUESTS, Point, Served, fault_of, served

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)


def minute(number: int, value: float, status_class: str = "2xx", deployment: str = "green") -> Point:
    return Point(REQUESTS, deployment, status_class, NOW.replace(second=0) + timedelta(minutes=number), value)


def test_whole_minutes_after_the_begin_are_added_up_by_deployment_and_class() -> None:
    points = [
        minute(0, 7),  # began before the traffic did: it holds the smoke test
        minute(1, 10),
        minute(2, 3, "4xx"),
        minute(2, 2, "5xx"),
        minute(1, 99, deployment="blue"),
        Point(LATENCY, "green", "", NOW + timedelta(minutes=1), 100.0),
        Point(LATENCY, "green", "", NOW + timedelta(minutes=2), 300.0),
    ]
    assert served(points, "green", NOW) == Served(requests=15, failures=5, server_errors=2, latency_ms=200.0)
    assert served(points, None, NOW) == Served()


@pytest.mark.parametrize(
    ("new", "live", "fault"),
    [
        (Served(), Served(), None),
        (Served(), Served(1000, 0, 0, 50), None),  # no traffic at all is no fault
        (Served(100, 0, 0, 50), Served(900, 0, 0, 50), None),
        (Served(5, 2, 2), Served(900), None),  # two failures say nothing
        (Served(20, 3, 0), Served(900, 9), "3 of its 20 requests failed"),
        (Served(20, 3, 0), Served(900, 135), None),  # the callers' mistakes meet both
        (Served(20, 3, 3), Served(900, 135, 135), "answered with a server error"),
        (Served(100, 0, 0, 900), Served(900, 0, 0, 400), "takes 900 ms to answer, and the live one 400 ms"),
        (Served(100, 0, 0, 200), Served(900, 0, 0, 50), None),  # slower, but not by much
        (Served(9, 0, 0, 9000), Served(900, 0, 0, 50), None),  # too few to tell
        (Served(100, 0, 0, 9000), Served(), None),
        (Served(100, 0, 0, 70_000), Served(), "70,000 ms"),
    ],
)
def test_a_new_deployment_is_worse_by_its_failures_or_its_slowness(
    new: Served, live: Served, fault: str | None
) -> None:
    found = fault_of(new, live)
    assert (found is None) == (fault is None), found
    assert fault is None or fault in str(found)
