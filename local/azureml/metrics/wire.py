"""Azure Monitor's answers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from local import names
from local.azureml.http import AzureError
from local.azureml.metrics import state
from local.azureml.metrics.questions import Question

Stamps = list[tuple[datetime, str]]
Series = list[tuple[state.Dimensions, dict[datetime, dict[str, float]]]]


def response(question: Question, values: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the answer about one resource, as the metrics API of Azure Resource Manager gives it."""
    return {
        "cost": _cost(question) * len(values),
        "timespan": f"{_time(question.start)}/{_time(question.end)}",
        "interval": question.interval,
        "value": values,
        "namespace": question.namespace,
        "resourceregion": names.LOCATION,
    }


def batch_value(question: Question, resource: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    """Write one resource's part of a batch's answer: it has no timespan, but names its resource.

    Source: the examples of Azure's page about the move to metrics:getBatch.
    """
    return {
        "starttime": _time(question.start),
        "endtime": _time(question.end),
        "interval": question.interval,
        "namespace": question.namespace,
        "resourceregion": names.LOCATION,
        "resourceid": resource,
        "value": values,
    }


def _cost(question: Question) -> int:
    return max(int((question.end - question.start) / question.grain), 1)


def metric(
    resource: str, described: state.Metric, series: Series, aggregations: list[str], moments: Stamps
) -> dict[str, Any]:
    return {
        "id": f"{resource}/providers/Microsoft.Insights/metrics/{described.name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": described.name, "localizedValue": described.title},
        "displayDescription": described.description,
        "unit": described.unit,
        "timeseries": [_series(dimensions, points, aggregations, moments) for dimensions, points in series],
        "errorCode": "Success",
    }


def _series(
    dimensions: state.Dimensions,
    points: dict[datetime, dict[str, float]],
    aggregations: list[str],
    moments: Stamps,
) -> dict[str, Any]:
    # A grain in which nothing was measured has its time stamp and no value.
    def point(moment: datetime, stamp: str) -> dict[str, Any]:
        found = points.get(moment)
        values = {} if found is None else {name: found[name] for name in aggregations}
        return {"timeStamp": stamp, **values}

    return {
        "metadatavalues": [
            {"name": {"value": name.lower(), "localizedValue": name.lower()}, "value": value}
            for name, value in dimensions.items()
        ],
        "data": [point(moment, stamp) for moment, stamp in moments],
    }


def stamps(moments: Iterable[datetime]) -> Stamps:
    """Write the times of all points once: every series has the same."""
    return [(moment, _time(moment)) for moment in moments]


def bad_request(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message, arm=True)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
