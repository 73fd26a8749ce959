"""Where the requests of online endpoints are counted: one small document per minute and dimensions."""

from collections.abc import Iterator
from datetime import datetime

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


def samples(services: Services, endpoint: str, metric: state.Metric) -> Iterator[state.Sample]:
    """Answer every sample of an endpoint's metric."""
    for key, doc in services.store.list(KIND, f"{endpoint.lower()}|"):
        _, minute, deployment, status, model_status = key.split("|")
        dimensions = {
            "deployment": deployment,
            "statusCode": status,
            "statusCodeClass": state.status_class(int(status)),
            "modelStatusCode": model_status,
        }
        yield state.sample(metric, datetime.fromisoformat(minute), dimensions, doc)
