"""Where endpoints are kept. Reading one never moves it."""

import math
import threading
from dataclasses import asdict
from datetime import datetime
from typing import Any

from local.azureml import faults, operations
from local.azureml.deployments import state as deployment_state
from local.azureml.endpoints import state, wire
from local.azureml.endpoints.wire import EndpointRequest
from local.azureml.http import timestamp
from local.azureml.services import Services

KIND = "endpoint"
DEPLOYMENT_KIND = "deployment"
# Looking whether an endpoint is busy and changing it, its deployments included, is one step: of two PUTs at once one
# is answered 409.
LOCK = threading.RLock()
_THEIRS = {"owner": "somebody-else"}


def find(services: Services, name: str) -> dict[str, Any] | None:
    """Answer an endpoint's document; None when there is none, or no longer."""
    doc = services.store.get(KIND, name.lower())
    if doc is not None and state.status_at(doc, services.now()) is not None:
        return doc
    return _somebody_elses(services, name, doc)


def get(services: Services, name: str) -> dict[str, Any]:
    """Answer an endpoint's document.

    Raises: AzureError: 404.
    """
    doc = find(services, name)
    if doc is None:
        raise wire.not_found(name)
    return doc


def list_all(services: Services) -> list[dict[str, Any]]:
    now = services.now()
    return [doc for _, doc in services.store.list(KIND) if state.status_at(doc, now) is not None]


def deployments_of(services: Services, name: str) -> dict[str, str]:
    """Answer the provisioning states of the deployments an endpoint has now, by their names in lower case."""
    now = services.now()
    found = services.store.list(DEPLOYMENT_KIND, f"{name.lower()}/")
    states = {key.rpartition("/")[2]: deployment_state.status_at(doc, now) for key, doc in found}
    return {deployment: status for deployment, status in states.items() if status is not None}


def put(services: Services, name: str, request: EndpointRequest, api_version: str) -> tuple[dict[str, Any], str]:
    """Create or update an endpoint; answer its document and the operation's id.

    Raises: AzureError: 400 for a traffic split that cannot be, 409 while another operation is going on.
    """
    with LOCK:
        return _put(services, name, request, api_version)


def _put(services: Services, name: str, request: EndpointRequest, api_version: str) -> tuple[dict[str, Any], str]:
    now, speed = services.now(), services.config.speed
    old = find(services, name)
    if old is None and faults.taken(services.config.state_dir, name) == "region":
        raise wire.taken()
    if old is not None and (status := state.status_at(old, now)) not in ("Succeeded", None):
        raise wire.busy(name, str(status))
    fault = state.traffic_fault(request.traffic, deployments_of(services, name))
    if fault is not None:
        raise wire.invalid("InvalidTraffic", fault)
    if old is None:
        _remove_deployments(services, name)  # of an endpoint of this name whose deletion was cut off
    operation = operations.begin(services, "oe", state.UPDATE_S if old else state.CREATE_S)
    moved = state.updated(old, request.traffic, now, speed) if old else state.created(now, speed)
    asked = {key: value for key, value in asdict(request).items() if key != "traffic"}
    own = {
        "name": old["name"] if old else name,
        "modified": timestamp(now),
        "operation_url": operations.status_url(services, operation, api_version),
    }
    doc = {**moved, **asked, **own}
    services.store.put(KIND, name.lower(), doc)
    return doc, operation


def _somebody_elses(services: Services, name: str, old: dict[str, Any] | None) -> dict[str, Any] | None:
    """Make the endpoint that somebody else is to have under this name, when that is asked for: once, until deleted."""
    was_theirs = old is not None and old["tags"] == _THEIRS
    if was_theirs or faults.taken(services.config.state_dir, name) != "workspace":
        return None
    now = services.now()
    asked = asdict(wire.read(name, {"properties": {"authMode": "Key"}, "tags": _THEIRS}))
    own = {"name": name, "modified": timestamp(now), "operation_url": ""}
    doc = {**state.created(now, math.inf), **asked, **own, "traffic": {}}
    services.store.put(KIND, name.lower(), doc)
    return doc


def delete(services: Services, name: str) -> str:
    """Begin to delete an endpoint; its deployments go at once. Answer the operation's id."""
    now, speed = services.now(), services.config.speed
    with LOCK:
        services.store.update(KIND, name.lower(), lambda doc: state.deleted(doc, now, speed))
        _remove_deployments(services, name)
    return operations.begin(services, "oe", state.DELETE_S)


def purge(services: Services, before: datetime) -> None:
    """Forget the endpoints that were gone before a moment."""
    for key, doc in services.store.list(KIND):
        if state.status_at(doc, before) is None:
            services.store.delete(KIND, key)


def _remove_deployments(services: Services, name: str) -> None:
    for key, doc in services.store.list(DEPLOYMENT_KIND, f"{name.lower()}/"):
        services.store.delete(DEPLOYMENT_KIND, key)
        abandon(services, doc)


def abandon(services: Services, deployment: dict[str, Any]) -> None:
    """End the operation of a deployment that is deleted while it is under way: its poller must not wait for ever."""
    if deployment["phase"] == "Updating":
        message = f"The deployment {deployment['name']} was deleted while it was being provisioned."
        operations.finish(services, deployment["operation"], {"code": "ResourceDeleted", "message": message})
