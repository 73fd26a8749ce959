"""Components of the workspace. Those of the public registry are in `registries`."""

import uuid
from typing import Any

from starlette.routing import Route

from local.azureml import assets
from local.azureml.http import AzureError
from local.azureml.services import Services

ANONYMOUS = "azureml_anonymous"
_VERSIONS = uuid.UUID("0d4ab2f2-3a56-4b39-8d0e-5c0b5a9e8f11")


def normalised(spec: Any) -> Any:
    """Write a component's spec as the service answers it: every scalar is a string, null stays null."""
    if isinstance(spec, dict):
        return {key: normalised(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [normalised(value) for value in spec]
    return spec if spec is None else str(spec)


def complete(_: Services, name: str, version: str, sent: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill a component version in. The answer has neither `jobs` nor `_source`, and its inputs gain `optional`."""
    spec = sent.get("componentSpec")
    if not isinstance(spec, dict) or "type" not in spec:
        detail = ("InvalidComponentSpec", "componentSpec must be an object with a type.")
        raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
    kept = normalised({key: value for key, value in spec.items() if key not in ("jobs", "_source")})
    for declared in (kept.get("inputs") or {}).values():
        declared.setdefault("optional", "False")
    properties = {
        "description": None,
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "componentSpec": kept,
    }
    return properties, _anonymous(name, version)


def _anonymous(name: str, version: str) -> dict[str, Any]:
    """Recorded: an anonymous component is answered under another version than the hash it was put under."""
    return {assets.ANSWERED_VERSION: str(uuid.uuid5(_VERSIONS, version))} if name == ANONYMOUS else {}


def find(services: Services, name: str, version: str) -> dict[str, Any] | None:
    """Answer a component's spec, None when there is no such component."""
    doc = assets.find(services, KIND, name, version)
    return dict(doc["properties"]["componentSpec"]) if doc else None


KIND = assets.AssetKind("components", "Component", "componentSpec", complete)


def routes(services: Services) -> list[Route]:
    return assets.routes(services, KIND)
