"""How the deployments of an endpoint do under real traffic: what Azure Monitor counts, and a verdict, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.azureml.trouble import understood
from shared.errors import StepError, TransientError
from shared.monitor import monitor
from shared.settings import Settings

REQUESTS, LATENCY = "RequestsPerMinute", "RequestLatency"
GRAIN = timedelta(minutes=1)
FEWEST_FAILURES, FEWEST_REQUESTS = 3, 10
"""Fewer say nothing: one refused request of five is not a bad model."""
MOST_FAILURES = 0.05
"""More of the requests than the live deployment fails; and, of server errors alone, whatever the live one does."""
SLOWER, SLOWER_MS, SLOWEST_MS = 2.0, 250.0, 60_000.0
"""Twice as slow as the live one, and by this much; and, whatever the live one does, near the time-out."""
_ISO = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Point:
    """One minute of a metric of one deployment. status_class: such as `2xx`, of the number of requests only."""

    metric: str
    deployment: str
    status_class: str
    at: datetime
    value: float


@dataclass(frozen=True)
class Served:
    """What a deployment did in a while. failures: every answer but 2xx and 3xx; of those, server_errors are 5xx."""

    requests: float = 0
    failures: float = 0
    server_errors: float = 0
    latency_ms: float | None = None


def read_points(settings: Settings, endpoint_id: str, since: datetime, now: datetime) -> list[Point] | None:
    """Return what Azure Monitor knows of an endpoint's deployments since a time; None when it cannot be read."""
    begin = since.astimezone(UTC).replace(second=0, microsecond=0)
    timespan = f"{begin:{_ISO}}/{now.astimezone(UTC).replace(second=0, microsecond=0) + GRAIN:{_ISO}}"
    points: list[Point] = []
    try:
        with monitor(settings) as client, understood(f"reading the metrics of {endpoint_id.rpartition('/')[2]}"):
            for metric, split in ((REQUESTS, ("deployment", "statusCodeClass")), (LATENCY, ("deployment",))):
                answer = client.metrics.list(
                    endpoint_id,
                    timespan=timespan,
                    interval="PT1M",  # the text, see shared.idle
                    metricnames=metric,
                    aggregation="Average",
                    filter=" and ".join(f"{dimension} eq '*'" for dimension in split),
                )
                if not answer.value or any(one.error_code not in (None, "Success") for one in answer.value):
                    return None
                points += _points(metric, answer.value)
    except (TransientError, StepError):
        return None
    return points


def served(points: Iterable[Point], deployment: str | None, since: datetime) -> Served:
    """Add up what a deployment did since a time.

    Azure counts by the minute; the minute in which `since` lies belongs to what was before.
    """
    begin = since.astimezone(UTC).replace(second=0, microsecond=0) + GRAIN
    own = [point for point in points if point.deployment == deployment and point.at >= begin]
    counts = [point for point in own if point.metric == REQUESTS]
    latencies = [point.value for point in own if point.metric == LATENCY]
    return Served(
        requests=sum(point.value for point in counts),
        failures=sum(point.value for point in counts if point.status_class[:1] not in "23"),
        server_errors=sum(point.value for point in counts if point.status_class[:1] == "5"),
        latency_ms=sum(latencies) / len(latencies) if latencies else None,
    )


def fault_of(new: Served, live: Served) -> str | None:
    """Say in what a new deployment does worse than the live one, or too badly in itself; None: in nothing.

    No traffic is no fault. Callers' own mistakes (4xx) meet both deployments alike, and a model that breaks is 424 to
    its callers, so that all failures are compared; 5xx are never the callers' mistake.
    """
    if new.failures >= FEWEST_FAILURES:
        share, usual = _share(new.failures, new), _share(live.failures, live)
        if share > usual + MOST_FAILURES:
            return (
                f"{new.failures:g} of its {new.requests:g} requests failed ({share:.0%}; of the live one {usual:.0%})"
            )
    if new.server_errors >= FEWEST_FAILURES and _share(new.server_errors, new) > MOST_FAILURES:
        return f"{new.server_errors:g} of its {new.requests:g} requests were answered with a server error"
    return _slowness(new, live)


def _slowness(new: Served, live: Served) -> str | None:
    if new.latency_ms is None or new.requests < FEWEST_REQUESTS:
        return None
    if new.latency_ms > SLOWEST_MS:
        return f"it takes {new.latency_ms:,.0f} ms to answer"
    if live.latency_ms is None or live.requests < FEWEST_REQUESTS:
        return None
    if new.latency_ms > SLOWER * live.latency_ms and new.latency_ms > live.latency_ms + SLOWER_MS:
        return f"it takes {new.latency_ms:,.0f} ms to answer, and the live one {live.latency_ms:,.0f} ms"
    return None


def _share(part: float, of: Served) -> float:
    return part / of.requests if of.requests else 0.0


def _points(metric: str, values: Sequence[Any]) -> Iterator[Point]:
    for value in values:
        for series in value.timeseries:
            names = {str(one.name.value).lower(): str(one.value) for one in series.metadatavalues or ()}
            for point in series.data:
                if point.average is not None:
                    yield Point(
                        metric,
                        names.get("deployment", ""),
                        names.get("statuscodeclass", ""),
                        point.time_stamp,
                        point.average,
                    )
