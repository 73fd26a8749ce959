"""Azure Monitor's answers."""

from datetime import datetime, timedelta
from typing import Any

from local import names
from local.azureml.http import AzureError
from local.azureml.metrics import state

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
Series = list[tuple[state.Dimensions, dict[datetime, dict[str, float]]]]


def response(
    start: datetime, end: datetime, grain: timedelta, interval: str, values: list[dict[str, Any]]
) -> dict[str, Any]:
    minutes = int((end - start) / grain) if grain else 0
    return {
        "cost": max(minutes, 1) * len(values),
        "timespan": f"{_time(start)}/{_time(end)}",
        "interval": interval,
        "value": values,
        "namespace": NAMESPACE,
        "resourceregion": names.LOCATION,
    }


def metric(
    resource: str, described: state.Metric, series: Series, aggregations: list[str], moments: list[datetime]
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
    moments: list[datetime],
) -> dict[str, Any]:
    # A grain in which nothing was measured has its time stamp and no value.
    def point(moment: datetime) -> dict[str, Any]:
        found = points.get(moment)
        values = {} if found is None else {name: found[name] for name in aggregations}
        return {"timeStamp": _time(moment), **values}

    return {
        "metadatavalues": [
            {"name": {"value": name.lower(), "localizedValue": name.lower()}, "value": value}
            for name, value in dimensions.items()
        ],
        "data": [point(moment) for moment in moments],
    }


def bad_request(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message, arm=True)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
