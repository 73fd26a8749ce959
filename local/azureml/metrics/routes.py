"""Azure Monitor's metrics of online endpoints and deployments: of one resource, and of up to fifty at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml.arm import resource_id
from local.azureml.deployments import store as deployments
from local.azureml.endpoints import store as endpoints
from local.azureml.http import ARM, json_response, threaded
from local.azureml.metrics import questions, state, store, wire
from local.azureml.metrics.questions import Question, Resource
from local.azureml.services import Services


def routes(services: Services) -> list[Route]:
    def metrics(request: Request, _: dict[str, Any]) -> Response:
        resource = _resource(services, request)
        with _refusing():
            question = questions.of_resource(request.query_params, resource.namespace, services.now())
        return json_response(wire.response(question, _values(services, question, [resource])[0]))

    def batch(request: Request, body: dict[str, Any]) -> Response:
        with _refusing():
            question, resources = questions.of_batch(request.query_params, body, services.now())
        # Nobody knows what Azure says of a resource that is not there: here, it is left out of the answer.
        found = [one for one in resources if store.exists(services, one.endpoint, one.deployment)]
        values = _values(services, question, found)
        answer = [wire.batch_value(question, one.id, value) for one, value in zip(found, values, strict=True)]
        # Not indented: fifty resources are tens of thousands of points.
        content = json.dumps({"values": answer}, separators=(",", ":"))
        return Response(content, media_type="application/json; charset=utf-8")

    def definitions(request: Request, _: dict[str, Any]) -> Response:
        known = state.metrics_in(_resource(services, request).namespace)
        return json_response({"value": [_definition(metric) for metric in known.values()]})

    endpoint = f"{ARM}/onlineEndpoints/{{endpoint}}"
    insights = [
        f"{scope}/providers/Microsoft.Insights" for scope in (endpoint, f"{endpoint}/deployments/{{deployment}}")
    ]
    return [
        Route("/subscriptions/{subscription}/metrics:getBatch", threaded(batch), methods=["POST"]),
        *(Route(f"{scope}/metrics", threaded(metrics)) for scope in insights),
        *(Route(f"{scope}/metricDefinitions", threaded(definitions)) for scope in insights),
    ]


def _resource(services: Services, request: Request) -> Resource:
    endpoint = endpoints.get(services, request.path_params["endpoint"])["name"]
    if "deployment" not in request.path_params:
        return Resource(resource_id("onlineEndpoints", endpoint), endpoint, None)
    deployment = deployments.get(services, endpoint, request.path_params["deployment"])["name"]
    return Resource(resource_id("onlineEndpoints", endpoint, "deployments", deployment), endpoint, deployment)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise wire.bad_request(str(error)) from error


def _values(services: Services, question: Question, resources: list[Resource]) -> list[list[dict[str, Any]]]:
    """Answer each resource's metrics.

    `top` counts the series of the whole answer, as users have found it to do: of a batch, later resources get none.
    Source: azure-sdk-for-go issue 22757.
    """
    moments = wire.stamps(state.grains(question.start, question.end, question.grain))
    left = question.top
    answers = []
    for resource in resources:
        values = []
        for metric, aggregations in question.metrics:
            samples = store.samples(services, resource.endpoint, resource.deployment, metric, question.start)
            series = state.series(samples, metric, question.wanted, question.start, question.end, question.grain)
            if left is not None:
                series = series[:left]
                left -= len(series)
            values.append(wire.metric(resource.id, metric, series, aggregations, moments))
        answers.append(values)
    return answers


def _definition(metric: state.Metric) -> dict[str, Any]:
    return {
        "namespace": metric.namespace,
        "name": {"value": metric.name, "localizedValue": metric.title},
        "displayDescription": metric.description,
        "unit": metric.unit,
        "primaryAggregationType": metric.aggregation.capitalize(),
        "supportedAggregationTypes": [name.capitalize() for name in state.AGGREGATIONS],
        "metricAvailabilities": [{"timeGrain": "PT1M"}],
        "dimensions": [{"value": name, "localizedValue": name} for name in metric.names],
    }
