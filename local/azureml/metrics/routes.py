"""Azure Monitor's metrics of online endpoints."""

from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml.arm import resource_id
from local.azureml.endpoints import store as endpoints
from local.azureml.http import ARM, json_response, threaded
from local.azureml.metrics import state, store, wire
from local.azureml.services import Services


def routes(services: Services) -> list[Route]:
    def metrics(request: Request, _: dict[str, Any]) -> Response:
        endpoint = endpoints.get(services, request.path_params["endpoint"])["name"]
        query = request.query_params
        try:
            return json_response(_answer(services, endpoint, query))
        except ValueError as error:
            raise wire.bad_request(str(error)) from error

    def definitions(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"value": [_definition(metric) for metric in state.METRICS.values()]})

    insights = f"{ARM}/onlineEndpoints/{{endpoint}}/providers/Microsoft.Insights"
    return [
        Route(f"{insights}/metrics", threaded(metrics)),
        Route(f"{insights}/metricDefinitions", threaded(definitions)),
    ]


def _answer(services: Services, endpoint: str, query: QueryParams) -> dict[str, Any]:
    now, lag_s = services.now(), services.config.metrics_lag_s
    start, end = state.parse_timespan(query.get("timespan"), now)
    interval = query.get("interval") or "PT1M"
    grain = state.parse_grain(interval)
    wanted = state.parse_filter(query.get("$filter"))
    moments = list(state.grains(start, end, grain))
    values = []
    for metric in _metrics(query.get("metricnames")):
        aggregations = _aggregations(query.get("aggregation"), metric)
        samples = (one for one in store.samples(services, endpoint, metric) if state.is_published(one, now, lag_s))
        series = state.series(samples, metric, wanted, start, end, grain)
        resource = resource_id("onlineEndpoints", endpoint)
        values.append(wire.metric(resource, metric, series, aggregations, moments))
    return wire.response(start, end, grain, interval, values)


def _metrics(asked: str | None) -> list[state.Metric]:
    names = [name.strip() for name in (asked or "").split(",") if name.strip()]
    unknown = [name for name in names if name.lower() not in state.METRICS]
    if unknown:
        valid = ",".join(metric.name for metric in state.METRICS.values())
        raise ValueError(f"Failed to find metric configuration for metric: {unknown[0]}. Valid metrics: {valid}")
    return [state.METRICS[name.lower()] for name in names] or [next(iter(state.METRICS.values()))]


def _aggregations(asked: str | None, metric: state.Metric) -> list[str]:
    names = [name.strip().lower() for name in (asked or metric.aggregation).split(",") if name.strip()]
    unknown = [name for name in names if name not in state.AGGREGATIONS]
    if unknown:
        raise ValueError(f"aggregation {unknown[0]!r} is not one of {', '.join(state.AGGREGATIONS)}")
    return names


def _definition(metric: state.Metric) -> dict[str, Any]:
    return {
        "namespace": wire.NAMESPACE,
        "name": {"value": metric.name, "localizedValue": metric.title},
        "displayDescription": metric.description,
        "unit": metric.unit,
        "primaryAggregationType": metric.aggregation.capitalize(),
        "supportedAggregationTypes": [name.capitalize() for name in state.AGGREGATIONS],
        "metricAvailabilities": [{"timeGrain": "PT1M"}],
        "dimensions": [{"value": name, "localizedValue": name} for name in metric.names],
    }
