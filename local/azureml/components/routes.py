"""Components of the workspace. Those of the public registry are in `registries`; jobs can run only the latter."""

from typing import Any

from starlette.routing import Route

from local.azureml import assets
from local.azureml.http import AzureError
from local.azureml.services import Services


def normalised(spec: Any) -> Any:
    """Write a component's spec as the service answers it: every scalar is a string, null stays null."""
    if isinstance(spec, dict):
        return {key: normalised(value) for key, value in spec.items()}
    if isinstance(spec, list):
        return [normalised(value) for value in spec]
    return spec if spec is None else str(spec)


def complete(_: Services, __: str, ___: str, sent: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
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
    return properties, {}


KIND = assets.AssetKind("components", "Component", "componentSpec", complete)


def routes(services: Services) -> list[Route]:
    return assets.routes(services, KIND)
