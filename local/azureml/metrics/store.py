"""Where the requests of online endpoints are counted: one small document per minute and dimensions.

What an instance reports of itself every minute is not kept: it follows from the deployment's life.
"""

from collections.abc import Iterator
from datetime import datetime

from local.azureml.deployments import state as deployment_state
from local.azureml.deployments import store as deployments
from local.azureml.endpoints import store as endpoints
from local.azureml.metrics import state
from local.azureml.services import Services

KIND = "requests"


def record(
    services: Services, endpoint: str, deployment: str, status: int, model_status: int | None, latency_ms: float,
    connections: int,
) -> None:  # fmt: skip
    """Count one request in the minute in which it was answered."""
    minute = services.now().replace(second=0, microsecond=0).isoformat()
    key = "|".join((endpoint.lower(), minute, deployment, str(status), str(model_status or "")))
    fresh = state.count_request(None, latency_ms, connections)
    if not services.store.insert(KIND, key, fresh):
        services.store.update(KIND, key, lambda doc: state.count_request(doc, latency_ms, connections))


def exists(services: Services, endpoint: str, deployment: str | None) -> bool:
    """Tell whether what is asked about is there."""
    if deployment is None:
        return endpoints.find(services, endpoint) is not None
    return deployments.find(services, endpoint, deployment) is not None


def samples(
    services: Services, endpoint: str, deployment: str | None, metric: state.Metric, start: datetime
) -> Iterator[state.Sample]:
    """Answer the samples of a metric that show already: an endpoint's, or those of one deployment's instances.

    Args: start: older ones may be left out.
    """
    now, lag_s = services.now(), services.config.metrics_lag_s
    found = (
        _requests(services, endpoint, metric) if deployment is None else _lives(services, endpoint, deployment, start)
    )
    return (one for one in found if state.is_published(one, now, lag_s))


def _lives(services: Services, endpoint: str, deployment: str, start: datetime) -> Iterator[state.Sample]:
    doc, now = deployments.find(services, endpoint, deployment), services.now()
    if doc is not None and deployment_state.status_at(doc, now) == "Succeeded":
        yield from state.utilization(datetime.fromisoformat(doc["created"]), now, start)


def _requests(services: Services, endpoint: str, metric: state.Metric) -> Iterator[state.Sample]:
    for key, doc in services.store.list(KIND, f"{endpoint.lower()}|"):
        _, minute, deployment, status, model_status = key.split("|")
        dimensions = {
            "deployment": deployment,
            "statusCode": status,
            "statusCodeClass": state.status_class(int(status)),
            "modelStatusCode": model_status,
        }
        yield state.sample(metric, datetime.fromisoformat(minute), dimensions, doc)
