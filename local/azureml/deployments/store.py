"""Where deployments are kept, and the rules between a deployment and its endpoint."""

from datetime import datetime
from typing import Any

from local.azureml import faults, operations
from local.azureml.deployments import state, wire
from local.azureml.endpoints import state as endpoint_state
from local.azureml.endpoints import store as endpoints
from local.azureml.http import AzureError, timestamp
from local.azureml.models import state as models
from local.azureml.services import Services
from local.azureml.usages import held
from local.azureml.usages import state as usages

KIND = endpoints.DEPLOYMENT_KIND


def key(endpoint: str, name: str) -> str:
    return f"{endpoint.lower()}/{name.lower()}"


def find(services: Services, endpoint: str, name: str) -> dict[str, Any] | None:
    """Answer a deployment's document; None when there is none, or no longer."""
    doc = services.store.get(KIND, key(endpoint, name))
    return doc if doc is not None and state.status_at(doc, services.now()) is not None else None


def get(services: Services, endpoint: str, name: str) -> dict[str, Any]:
    """Answer a deployment's document.

    Raises: AzureError: 404 for the endpoint or the deployment.
    """
    endpoints.get(services, endpoint)
    doc = find(services, endpoint, name)
    if doc is None:
        raise wire.not_found(endpoint, name)
    return doc


def list_all(services: Services, endpoint: str) -> list[dict[str, Any]]:
    endpoints.get(services, endpoint)
    now = services.now()
    found = services.store.list(KIND, f"{endpoint.lower()}/")
    return [doc for _, doc in found if state.status_at(doc, now) is not None]


def put(
    services: Services, endpoint: str, name: str, asked: dict[str, Any], api_version: str
) -> tuple[dict[str, Any], str]:
    """Create or update a deployment; answer its document and the operation's id. Its process comes by itself.

    Raises: AzureError: 404 without endpoint or model, 409 while an operation goes on, 400 after a failure.
    """
    with endpoints.LOCK:
        return _put(services, endpoint, name, asked, api_version)


def _put(
    services: Services, endpoint: str, name: str, asked: dict[str, Any], api_version: str
) -> tuple[dict[str, Any], str]:
    now = services.now()
    parent = endpoints.get(services, endpoint)
    status = endpoint_state.status_at(parent, now)
    if status != "Succeeded":
        raise wire.endpoint_busy(endpoint, str(status))
    old = find(services, endpoint, name)
    if old is not None:
        _check_changeable(name, str(state.status_at(old, now)))
    _check_model(services, str(asked["properties"].get("model")))
    _fail_on_request(services, key(endpoint, name), asked["properties"]["instanceType"])
    _check_quota(services, key(endpoint, name), asked)
    operation = operations.begin(services, "od", None)
    own = {
        "name": old["name"] if old else name,
        "endpoint": parent["name"],
        "modified": timestamp(now),
        "operation": operation,
        "operation_url": operations.status_url(services, operation, api_version),
    }
    doc = state.updated(old, {**asked, **own}) if old else state.created({**asked, **own}, now)
    services.store.put(KIND, key(endpoint, name), doc)
    return doc, operation


def delete(services: Services, endpoint: str, name: str) -> str:
    """Begin to delete a deployment; answer the operation's id.

    Raises: AzureError: 400 while it has traffic.
    """
    with endpoints.LOCK:
        return _delete(services, endpoint, name)


def _delete(services: Services, endpoint: str, name: str) -> str:
    now, speed = services.now(), services.config.speed
    parent = endpoints.get(services, endpoint)
    traffic = {key.lower(): share for key, share in endpoint_state.traffic_at(parent, now).items()}
    if traffic.get(name.lower()):
        message = f"Deployment {name} has {traffic[name.lower()]} % of the traffic. Set it to 0 before deleting it."
        raise wire.invalid("DeploymentHasTraffic", message)
    old = find(services, endpoint, name)
    if old is not None:
        services.store.update(KIND, key(endpoint, name), lambda doc: state.deleted(doc, now, speed))
        endpoints.abandon(services, old)
    services.store.update(endpoints.KIND, endpoint.lower(), lambda doc: endpoint_state.without_traffic(doc, name))
    return operations.begin(services, "od", state.DELETE_S)


def purge(services: Services, before: datetime) -> None:
    """Forget the deployments that were gone before a moment, and those a cut-off deletion left without endpoint."""
    for stored, doc in services.store.list(KIND):
        is_orphan = endpoints.find(services, doc["endpoint"]) is None
        if is_orphan or state.status_at(doc, before) is None:
            services.store.delete(KIND, stored)
        if is_orphan:
            endpoints.abandon(services, doc)


def _check_changeable(name: str, status: str) -> None:
    if status == "Failed":
        raise wire.unrecoverable(name)
    if status != "Succeeded":
        raise wire.busy(name, status)


def _check_model(services: Services, model: str) -> None:
    if model.startswith("azureml://registries/"):
        message = f"This emulator has no weights of the registry's models: {model} can be trained, not deployed."
        raise wire.invalid("RegistryModelNotDeployable", message)
    if models.find(services, model) is None:
        detail = ("ModelNotFound", f"Model with id: {model} not found.")
        raise AzureError(404, "UserError", "The specified resource was not found.", [detail])


def _check_quota(services: Services, own_key: str, asked: dict[str, Any]) -> None:
    """Refuse a deployment that does not fit in, as the service does: at once. What it held before is its own."""
    size = asked["properties"]["instanceType"]
    needed = usages.of_deployment(size, asked["sku"]["capacity"])
    lacking = usages.lacking(needed, held.uses(services, but=own_key))
    if lacking is not None:
        raise wire.out_of_quota(size, needed[0].cores, lacking.used, lacking.limit)


def _fail_on_request(services: Services, name: str, instance_type: str) -> None:
    if faults.lacks_quota(services.config.state_dir, name, instance_type):
        raise wire.out_of_quota(instance_type)
