"""Managed online endpoints and deployments: begun, never waited for, and looked at again."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.azureml.client import AzureML, plain
from shared.azureml.trouble import understood
from shared.errors import ResourceGoneError, StepError, TransientError

BLUE, GREEN = "blue", "green"
LIVENESS_DELAY_S = 600  # a large model takes minutes to load; the tutorial's value
REQUEST_TIMEOUT_MS = 90_000
SUCCEEDED = "Succeeded"
BROKEN = frozenset({"Failed", "Canceled"})
"""Provisioning states that nothing leads out of."""
DELETING = "Deleting"
# What the service, and the SDK when it reads, put among an endpoint's properties: not sent back as if it were ours.
_SERVICE_PROPERTIES = frozenset(
    {"createdBy", "createdAt", "lastModifiedAt", "AzureAsyncOperationUri", "azureml.onlineendpointid"}
)
_LOG_LINES = 200


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is now. traffic: percent by deployment.

    `find_endpoint` names all deployments there, those without traffic with 0, as the SDK does; `list_endpoints` does
    not.
    """

    name: str
    id: str
    state: str
    scoring_uri: str | None
    traffic: Mapping[str, int]
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    changed_at: datetime | None = None
    location: str = ""
    auth_mode: str = "key"

    @property
    def served(self) -> dict[str, int]:
        """Percent by deployment, of those that have any."""
        return {name: percent for name, percent in self.traffic.items() if percent}


@dataclass(frozen=True)
class Deployment:
    """A deployment as it is now."""

    name: str
    state: str
    instance_type: str
    tags: Mapping[str, str]
    instance_count: int | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None


def find_endpoint(azureml: AzureML, name: str) -> Endpoint | None:
    """Return an endpoint, None when it does not exist."""
    try:
        with understood(f"looking up endpoint {name}"):
            return _endpoint(azureml.workspace.online_endpoints.get(name))
    except ResourceGoneError:
        return None


def list_endpoints(azureml: AzureML) -> list[Endpoint]:
    """Return all online endpoints of the workspace, also those of others."""
    with understood("listing endpoints"):
        return [_endpoint(found) for found in azureml.workspace.online_endpoints.list()]


def begin_endpoint(
    azureml: AzureML, name: str, *, description: str, tags: Mapping[str, str], auth_mode: str = "key"
) -> None:
    """Begin to create an endpoint. Idempotency: the name; call it only when it is absent.

    Args: auth_mode: `key`; or `aad_token`, for callers with a role that may score, such as AzureML Data Scientist.
    """
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    endpoint = ManagedOnlineEndpoint(name=name, description=description, auth_mode=auth_mode, tags=dict(tags))
    with understood(f"creating endpoint {name}"):
        azureml.workspace.online_endpoints.begin_create_or_update(endpoint)


def find_deployment(azureml: AzureML, endpoint: str, name: str) -> Deployment | None:
    """Return a deployment, None when it does not exist."""
    try:
        with understood(f"looking up deployment {endpoint}/{name}"):
            found = azureml.workspace.online_deployments.get(name=name, endpoint_name=endpoint)
    except ResourceGoneError:
        return None
    return _deployment(found)


def list_deployments(azureml: AzureML, endpoint: str) -> list[Deployment]:
    """Return an endpoint's deployments, none when the endpoint does not exist."""
    try:
        with understood(f"listing the deployments of {endpoint}"):
            return [_deployment(found) for found in azureml.workspace.online_deployments.list(endpoint)]
    except ResourceGoneError:
        return []


def begin_deployment(
    azureml: AzureML,
    endpoint: str,
    deployment: str,
    *,
    model_id: str,
    instance_type: str,
    instance_count: int,
    tags: Mapping[str, str],
) -> None:
    """Begin to create a deployment. It gets no traffic: the smoke test comes first."""
    from azure.ai.ml.entities import ManagedOnlineDeployment, OnlineRequestSettings, ProbeSettings

    wanted = ManagedOnlineDeployment(
        name=deployment,
        endpoint_name=endpoint,
        model=model_id,
        instance_type=instance_type,
        instance_count=instance_count,
        liveness_probe=ProbeSettings(initial_delay=LIVENESS_DELAY_S),
        request_settings=OnlineRequestSettings(request_timeout_ms=REQUEST_TIMEOUT_MS),
        tags=dict(tags),
    )
    with understood(f"creating deployment {endpoint}/{deployment} on {instance_type}"):
        azureml.workspace.online_deployments.begin_create_or_update(wanted)


def last_words(azureml: AzureML, endpoint: str, deployment: str) -> str:
    """Return the last line of a deployment's log that says something, for the reason of a failure.

    A log that cannot be read never keeps a failed deployment alive: that is said instead.
    """
    try:
        with understood(f"reading the log of {endpoint}/{deployment}"):
            log = azureml.workspace.online_deployments.get_logs(
                name=deployment, endpoint_name=endpoint, lines=_LOG_LINES
            )
    except (TransientError, StepError):
        return "its log cannot be read"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "its log is empty"


def begin_traffic(
    azureml: AzureML, name: str, traffic: Mapping[str, int], tags: Mapping[str, str] | None = None
) -> None:
    """Begin to route traffic, and set tags with it. The answer, and reads for a while, still show the old traffic.

    A PUT replaces the whole endpoint, so it is rebuilt from what Azure has: what is not sent is lost.
    """
    with understood(f"routing the traffic of endpoint {name}"):
        endpoint = azureml.workspace.online_endpoints.get(name)
        endpoint.traffic = dict(traffic)
        endpoint.tags = {**(endpoint.tags or {}), **(tags or {})}
        endpoint.properties = _own_properties(endpoint)
        azureml.workspace.online_endpoints.begin_create_or_update(endpoint)


def begin_tags(azureml: AzureML, name: str, tags: Mapping[str, str | None]) -> None:
    """Begin to set tags of an endpoint, and to take away those whose value is None; all else stays as it is.

    Idempotency: an endpoint whose tags are so already is left alone.
    """
    with understood(f"setting tags of endpoint {name}"):
        endpoint = azureml.workspace.online_endpoints.get(name)
        before = dict(endpoint.tags or {})
        wanted = {**before, **tags}
        endpoint.tags = {tag: value for tag, value in wanted.items() if value is not None}
        if endpoint.tags == before:
            return
        endpoint.properties = _own_properties(endpoint)
        azureml.workspace.online_endpoints.begin_create_or_update(endpoint)


def begin_scale(azureml: AzureML, endpoint: str, name: str, instances: int) -> None:
    """Begin to change how many instances a deployment has; all else stays as it is."""
    with understood(f"scaling deployment {endpoint}/{name} to {instances}"):
        found: Any = azureml.workspace.online_deployments.get(name=name, endpoint_name=endpoint)
        found.instance_count = instances
        azureml.workspace.online_deployments.begin_create_or_update(found)


def begin_delete_endpoint(azureml: AzureML, name: str) -> None:
    """Begin to delete an endpoint with everything in it; one that is not there needs nothing."""
    with contextlib.suppress(ResourceGoneError), understood(f"deleting endpoint {name}"):
        azureml.workspace.online_endpoints.begin_delete(name=name)


def begin_delete_deployment(azureml: AzureML, endpoint: str, name: str) -> None:
    """Begin to delete a deployment; Azure refuses one that has traffic. One that is not there needs nothing."""
    with contextlib.suppress(ResourceGoneError), understood(f"deleting deployment {endpoint}/{name}"):
        azureml.workspace.online_deployments.begin_delete(name=name, endpoint_name=endpoint)


def credential_of(azureml: AzureML, name: str) -> str:
    """Return what opens the endpoint: its key, or a token of the app's identity, as the endpoint asks. Never log it."""
    with understood(f"reading the keys of endpoint {name}"):
        found: Any = azureml.workspace.online_endpoints.get_keys(name=name)
    return str(getattr(found, "primary_key", None) or found.access_token)


def _own_properties(endpoint: Any) -> dict[str, Any]:
    return {key: value for key, value in (endpoint.properties or {}).items() if key not in _SERVICE_PROPERTIES}


def _endpoint(found: Any) -> Endpoint:
    properties = found.properties or {}  # where the SDK puts the `systemData` of an endpoint
    return Endpoint(
        name=str(found.name),
        id=str(found.id),
        state=plain(found.provisioning_state),
        scoring_uri=found.scoring_uri,
        traffic={name: int(percent) for name, percent in (found.traffic or {}).items()},
        tags=dict(found.tags or {}),
        created_at=_moment(properties.get("createdAt")),
        changed_at=_moment(properties.get("lastModifiedAt")),
        location=str(found.location or ""),
        auth_mode=str(found.auth_mode or "key"),
    )


def _deployment(found: Any) -> Deployment:
    times = found.creation_context
    return Deployment(
        name=str(found.name),
        state=plain(found.provisioning_state),
        instance_type=str(found.instance_type),
        tags=dict(found.tags or {}),
        instance_count=int(found.instance_count) if found.instance_count is not None else None,
        created_at=getattr(times, "created_at", None),
        changed_at=getattr(times, "last_modified_at", None),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z") if text else None
