"""Azure Monitor's answers, read from the raw JSON: half a million points a sweep, of which hardly any has a value.

The SDK's own models take more than a hundred times as long, and do not say which resource an answer is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from shared import typed
from shared.errors import RefusedByAzureError
from shared.traffic.readings import Unread


@dataclass(frozen=True)
class Line:
    """One series: its dimensions, with names in lower case, and the minutes that have a value."""

    dimensions: Mapping[str, str]
    minutes: Mapping[datetime, float]


Lines = list[Line]
Answers = dict[str, "Lines | Unread"]
"""By resource id, in lower case."""


class _Point(msgspec.Struct, gc=False):
    timeStamp: str  # noqa: N815 - Azure's name; read only where there is a value
    average: float | None = None


class _Name(msgspec.Struct):
    value: str


class _Dimension(msgspec.Struct):
    name: _Name
    value: str


class _Series(msgspec.Struct):
    metadatavalues: list[_Dimension] = []
    data: list[_Point] = []


class _Metric(msgspec.Struct):
    id: str
    timeseries: list[_Series] = []
    errorCode: str | None = None  # noqa: N815
    errorMessage: str | None = None  # noqa: N815


class _Resource(msgspec.Struct):
    value: list[_Metric] = []
    resourceid: str | None = None


class _Batch(msgspec.Struct):
    values: list[_Resource]


_decode = typed.decoder(_Batch).decode


def from_batch(body: bytes, ids: Iterable[str], metric: str) -> Answers:
    """Read a batch's answer about one metric.

    Returns: an entry for each of the ids, `Unread` where the answer says nothing or an error.
    Raises: RefusedByAzureError: it is no such answer.
    """
    try:
        if body.lstrip()[:1] == b'"':  # the SDK has met answers that were JSON in a JSON string
            body = typed.decode(body, str).encode()
        batch = _decode(body)
    except msgspec.MsgspecError as fault:
        raise RefusedByAzureError(f"reading {metric}: the answer of Azure Monitor is not as documented") from fault
    found: Answers = {}
    for one in batch.values:
        owner = one.resourceid or next(
            (metric.id.partition("/providers/Microsoft.Insights/")[0] for metric in one.value), ""
        )
        found[owner.lower()] = _lines(one.value, metric)
    missing = Unread(f"Azure Monitor left it out of its answer about {metric}")
    return {key: found.get(key, missing) for key in (one.lower() for one in ids)}


def from_models(answer: Any, metric: str) -> Lines | Unread:
    """Read the answer about one resource that azure-mgmt-monitor has made objects of."""
    return _lines(answer.value or [], metric)


def _lines(metrics: Iterable[Any], metric: str) -> Lines | Unread:
    found = list(metrics)
    if not found:
        return Unread(f"Azure Monitor says nothing about {metric}")
    for one in found:
        code = getattr(one, "errorCode", None) or getattr(one, "error_code", None) or "Success"
        if code != "Success":
            return Unread(f"Azure Monitor could not read {metric}: {code}")
    return [_line(series) for one in found for series in one.timeseries or []]


def _line(series: Any) -> Line:
    dimensions = {str(one.name.value).lower(): str(one.value) for one in series.metadatavalues or []}
    return Line(dimensions, {_time(point): point.average for point in series.data or [] if point.average is not None})


def _time(point: Any) -> datetime:
    """Return a point's time, which is a text in the raw answer and a datetime in the SDK's."""
    if isinstance(point, _Point):
        return datetime.fromisoformat(point.timeStamp)
    moment: datetime = point.time_stamp
    return moment
