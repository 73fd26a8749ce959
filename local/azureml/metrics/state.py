"""Requests counted by the minute, and the questions Azure Monitor answers about them. Pure.

One sample is what happened in one minute for one combination of dimensions, as Azure Monitor aggregates it first.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Dimensions = dict[str, str]
ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENTS = f"{ENDPOINTS}/deployments"
DIMENSIONS = ("deployment", "statusCode", "statusCodeClass", "modelStatusCode")
INSTANCE = "instanceId"
IDLE_PERCENT = 3.0
AGGREGATIONS = ("total", "average", "count", "minimum", "maximum")


@dataclass(frozen=True)
class Sample:
    """Measurements of one minute that share their dimensions."""

    minute: datetime
    dimensions: Dimensions
    total: float
    count: int
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Metric:
    """A metric as Azure Monitor describes it. `names` are the dimensions it can be split by."""

    name: str
    title: str
    description: str
    unit: str
    aggregation: str
    names: tuple[str, ...]
    namespace: str = ENDPOINTS


METRICS = {
    metric.name.lower(): metric
    for metric in (
        Metric(
            "RequestsPerMinute",
            "Requests Per Minute",
            "The number of requests sent to online endpoint within a minute",
            "Count",
            "average",
            DIMENSIONS,
        ),
        Metric(
            "RequestLatency",
            "Request Latency",
            "The average complete interval of time taken for a request to be responded in milliseconds",
            "Milliseconds",
            "average",
            ("deployment",),
        ),
        Metric(
            "ConnectionsActive",
            "Connections Active",
            "The total number of concurrent TCP connections active from clients",
            "Count",
            "average",
            (),
        ),
        Metric(
            "CpuUtilizationPercentage",
            "CPU Utilization Percentage",
            "Percentage of CPU utilization on an instance. Utilization is reported at one minute intervals.",
            "Percent",
            "average",
            (INSTANCE,),
            DEPLOYMENTS,
        ),
    )
}


def metrics_in(namespace: str) -> dict[str, Metric]:
    """Answer the metrics of a namespace by their names in lower case; none for a namespace that is not known."""
    return {key: metric for key, metric in METRICS.items() if metric.namespace.lower() == namespace.lower()}


@dataclass(frozen=True)
class Filter:
    """A parsed $filter: the values a dimension may have (None: any), and which dimensions to split by."""

    allowed: Mapping[str, frozenset[str] | None]

    def accepts(self, dimensions: Dimensions) -> bool:
        return all(values is None or dimensions[name] in values for name, values in self.allowed.items())


_TERM = re.compile(r"(\w+)\s+eq\s+'([^']*)'", re.IGNORECASE)


def parse_filter(text: str | None) -> Filter:
    """Read a $filter such as "deployment eq 'blue' and statusCodeClass eq '*'".

    Terms of one dimension add up (or), dimensions narrow (and), '*' splits by a dimension.
    Raises: ValueError: it has another form or names an unknown dimension.
    """
    allowed: dict[str, frozenset[str] | None] = {}
    if not text or not text.strip():
        return Filter(allowed)
    rest = re.sub(r"\b(and|or)\b|[()]", " ", _TERM.sub(" ", text), flags=re.IGNORECASE)
    if rest.strip():
        raise ValueError(f"the filter {text!r} is not of the form dimension eq 'value' and ...")
    known = {name.lower(): name for name in (*DIMENSIONS, INSTANCE)}
    for name, value in _TERM.findall(text):
        if name.lower() not in known:
            raise ValueError(f"{name} is not a dimension: expected one of {', '.join(known.values())}")
        dimension = known[name.lower()]
        before = allowed.get(dimension, frozenset())
        allowed[dimension] = None if value == "*" or before is None else before | {value}
    return Filter(allowed)


def check_dimensions(metric: Metric, wanted: Filter) -> None:
    """Refuse to filter a metric by a dimension that it does not have.

    Raises: ValueError: in Azure Monitor's words.
    """
    if not set(wanted.allowed) <= set(metric.names):
        asked, known = ",".join(wanted.allowed), ",".join(metric.names)
        raise ValueError(
            f"Metric: {metric.name} does not support requested dimension combination: {asked}, "
            f"supported ones are: {known}"
        )


def parse_grain(text: str | None) -> timedelta:
    """Read an interval: one of Azure Monitor's, PT1M to P1D.

    Raises: ValueError: it is none of them.
    """
    grains = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
    if text is None or text.upper() not in grains:
        raise ValueError(f"interval {text!r} is not one of {', '.join(grains)}")
    return timedelta(minutes=grains[text.upper()])


def parse_timespan(text: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Read start/end in ISO 8601; without it, the last hour.

    Raises: ValueError: it is no such pair, or ends before it starts.
    """
    if text is None:
        return now - timedelta(hours=1), now
    start_text, slash, end_text = text.partition("/")
    if not slash:
        raise ValueError(f"timespan {text!r} is not start/end")
    start, end = (_moment(part) for part in (start_text, end_text))
    if end <= start:
        raise ValueError(f"timespan {text!r} ends before it starts")
    return start, end


def _moment(text: str) -> datetime:
    # A plus sign in a query is a space once decoded.
    moment = datetime.fromisoformat(text.strip().replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_published(sample: Sample, now: datetime, lag_s: float) -> bool:
    """Tell whether a sample shows already: `lag_s` seconds after its minute has ended; without a lag, at once."""
    return not lag_s or sample.minute + timedelta(minutes=1, seconds=lag_s) <= now


def series(
    samples: Iterable[Sample], metric: Metric, wanted: Filter, start: datetime, end: datetime, grain: timedelta
) -> list[tuple[Dimensions, dict[datetime, dict[str, float]]]]:
    """Group samples into series of points.

    Returns: (dimensions split by, {start of the grain: aggregations}) for each combination; without a split exactly
    one, even when nothing happened. A grain without any sample has no point.
    """
    split = [name for name in wanted.allowed if name in metric.names]
    groups: dict[tuple[str, ...], dict[datetime, list[Sample]]] = {} if split else {(): {}}
    for sample in samples:
        if start <= sample.minute < end and wanted.accepts(sample.dimensions):
            group = groups.setdefault(tuple(sample.dimensions[name] for name in split), {})
            group.setdefault(_floor(sample.minute, grain), []).append(sample)
    return [
        (
            dict(zip(split, values, strict=True)),
            {moment: aggregate(found) for moment, found in sorted(points.items())},
        )
        for values, points in sorted(groups.items())
    ]


def grains(start: datetime, end: datetime, grain: timedelta) -> Iterable[datetime]:
    moment = _floor(start, grain)
    while moment < end:
        yield moment
        moment += grain


def aggregate(samples: list[Sample]) -> dict[str, float]:
    total = sum(sample.total for sample in samples)
    count = sum(sample.count for sample in samples)
    return {
        "total": total,
        "count": float(count),
        "average": total / count,
        "minimum": min(sample.minimum for sample in samples),
        "maximum": max(sample.maximum for sample in samples),
    }


def utilization(created: datetime, until: datetime, start: datetime) -> Iterator[Sample]:
    """Answer what an instance that lives since a moment reports every minute, from `start` on and before `until`."""
    minute = timedelta(minutes=1)
    for moment in grains(max(created, start), until, minute):
        yield Sample(moment, {INSTANCE: "instance-0"}, IDLE_PERCENT, 1, IDLE_PERCENT, IDLE_PERCENT)


def _floor(moment: datetime, grain: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // grain * grain


def status_class(status: int) -> str:
    """Answer the statusCodeClass dimension of a status code: 2xx, 4xx, 5xx."""
    return f"{status // 100}xx"


def count_request(doc: dict[str, Any] | None, latency_ms: float, connections: int) -> dict[str, Any]:
    """Add one request to the counters of its minute and dimensions."""
    old = doc or {"requests": 0, "total_ms": 0.0, "min_ms": latency_ms, "max_ms": latency_ms, "connections": 0}
    return {
        "requests": old["requests"] + 1,
        "total_ms": old["total_ms"] + latency_ms,
        "min_ms": min(old["min_ms"], latency_ms),
        "max_ms": max(old["max_ms"], latency_ms),
        "connections": max(old["connections"], connections),
    }


def sample(metric: Metric, minute: datetime, dimensions: Dimensions, doc: dict[str, Any]) -> Sample:
    """Turn the counters of one minute into a sample of one metric."""
    if metric.name == "RequestLatency":
        return Sample(minute, dimensions, doc["total_ms"], doc["requests"], doc["min_ms"], doc["max_ms"])
    value = float(doc["requests"] if metric.name == "RequestsPerMinute" else doc["connections"])
    return Sample(minute, dimensions, value, 1, value, value)
