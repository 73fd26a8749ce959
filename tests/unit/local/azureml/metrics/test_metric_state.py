"""Azure Monitor's questions and what the counters answer."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azureml.metrics import state

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REQUESTS = state.METRICS["requestsperminute"]
LATENCY = state.METRICS["requestlatency"]


def sample(minute: int, requests: int, deployment: str = "blue", status: str = "200") -> state.Sample:
    doc = {"requests": requests, "total_ms": 10.0 * requests, "min_ms": 5.0, "max_ms": 15.0, "connections": 1}
    dimensions = {
        "deployment": deployment,
        "statusCode": status,
        "statusCodeClass": state.status_class(int(status)),
        "modelStatusCode": status,
    }
    return state.sample(REQUESTS, NOON + minute * MINUTE, dimensions, doc)


def ask(samples: list[state.Sample], wanted: str | None = None, grain: timedelta = MINUTE):
    return state.series(samples, REQUESTS, state.parse_filter(wanted), NOON, NOON + 60 * MINUTE, grain)


def test_nothing_measured_is_one_series_without_points() -> None:
    assert ask([]) == [({}, {})]


def test_minutes_add_up_in_a_coarser_grain() -> None:
    ((_, points),) = ask([sample(0, 3), sample(1, 5), sample(7, 1)], grain=5 * MINUTE)
    assert points[NOON] == {"total": 8, "count": 2, "average": 4, "minimum": 3, "maximum": 5}
    assert points[NOON + 5 * MINUTE]["total"] == 1


def test_a_filter_narrows() -> None:
    found = [sample(0, 3), sample(0, 2, "green"), sample(0, 1, status="424")]
    ((_, points),) = ask(found, "deployment eq 'blue' and statusCodeClass eq '2xx'")
    assert points[NOON]["total"] == 3


def test_values_of_one_dimension_add_up() -> None:
    found = [sample(0, 3), sample(0, 2, "green"), sample(0, 1, "red")]
    totals = {
        dims["deployment"]: points[NOON]["total"]
        for dims, points in ask(found, "deployment eq 'blue' or deployment eq 'green'")
    }
    assert totals == {"blue": 3, "green": 2}


def test_a_star_splits() -> None:
    found = [sample(0, 3), sample(0, 1, status="424"), sample(0, 1, status="404")]
    totals = {dims["statusCodeClass"]: points[NOON]["total"] for dims, points in ask(found, "statusCodeClass eq '*'")}
    assert totals == {"2xx": 3, "4xx": 2}


def test_what_lies_outside_the_timespan_does_not_count() -> None:
    assert ask([sample(-1, 3), sample(60, 3)]) == [({}, {})]


def test_latency_is_averaged_over_requests() -> None:
    first = state.count_request(None, 100.0, 1)
    doc = state.count_request(first, 300.0, 2)
    measured = state.sample(LATENCY, NOON, {}, doc)
    assert state.aggregate([measured]) == {
        "total": 400.0,
        "count": 2,
        "average": 200.0,
        "minimum": 100.0,
        "maximum": 300.0,
    }


@pytest.mark.parametrize("text", ["deployment = 'blue'", "colour eq 'blue'", "deployment eq blue"])
def test_bad_filters(text: str) -> None:
    with pytest.raises(ValueError, match=r"filter|dimension"):
        state.parse_filter(text)


def test_timespans() -> None:
    assert state.parse_timespan(None, NOON) == (NOON - 60 * MINUTE, NOON)
    text = "2026-11-24T11:00:00Z/2026-11-24T12:00:00+00:00"
    assert state.parse_timespan(text, NOON) == (NOON - 60 * MINUTE, NOON)
    assert state.parse_timespan("2026-11-24T11:00:00 00:00/2026-11-24T12:00:00", NOON)[0] == NOON - 60 * MINUTE
    for bad in ("2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z/2026-11-24T11:00:00Z", "yesterday/today"):
        with pytest.raises(ValueError):
            state.parse_timespan(bad, NOON)


def test_the_sdks_broken_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="'0:01:00' is not one of PT1M"):
        state.parse_grain("0:01:00")


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 9)), max_size=30), st.sampled_from([1, 5, 15, 60]))
def test_no_request_is_lost_by_the_grain(requests: list[tuple[int, int]], minutes: int) -> None:
    samples = [sample(minute, count) for minute, count in requests]
    ((_, points),) = ask(samples, grain=minutes * MINUTE)
    assert sum(point["total"] for point in points.values()) == sum(count for _, count in requests)
