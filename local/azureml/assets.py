"""What models, data and components have in common: containers of versions that are written once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local import names
from local.azureml.arm import asset_system_data, location_header, properties_of, resource_id
from local.azureml.http import ARM, AzureError, empty_response, json_response, threaded, timestamp
from local.azureml.services import Services

Properties = dict[str, Any]
# Under which version an anonymous asset is answered, where that is another one than it was put under.
ANSWERED_VERSION = "answered_version"
# What a second PUT of a version may change; the asset itself stays what it was.
_CHANGEABLE = ("tags", "description", "isArchived", "properties", "stage")


@dataclass(frozen=True)
class AssetKind:
    """One kind of asset.

    Args: noun: "Model", as in the error code ModelNotFound. content: the property that cannot be changed.
    complete: turns a request's properties into the stored ones (answered properties, what the emulator itself needs).
    """

    collection: str
    noun: str
    content: str
    complete: Callable[[Services, str, str, Properties], tuple[Properties, dict[str, Any]]]

    @property
    def store_kind(self) -> str:
        return f"asset.{self.collection}"


def find(services: Services, kind: AssetKind, name: str, version: str) -> dict[str, Any] | None:
    """Answer a stored version: its properties, its times and what `complete` kept for the emulator."""
    found = services.store.get(kind.store_kind, f"{name}/{version}")
    answered = (doc for _, doc in versions(services, kind, name) if doc.get(ANSWERED_VERSION) == version)
    return found or next(answered, None)


def versions(services: Services, kind: AssetKind, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Answer (version, document), newest first."""
    found = services.store.list(kind.store_kind, f"{name}/")
    pairs = [(key.rpartition("/")[2], doc) for key, doc in found]
    return sorted(pairs, key=lambda pair: pair[1]["created"], reverse=True)


def version_wire(kind: AssetKind, name: str, version: str, doc: dict[str, Any]) -> dict[str, Any]:
    version = doc.get(ANSWERED_VERSION, version)
    return {
        "id": resource_id(kind.collection, name, "versions", version),
        "name": version,
        "type": f"{names.WORKSPACE_TYPE}/{kind.collection}/versions",
        "properties": doc["properties"],
        "systemData": asset_system_data(doc["created"], doc["modified"]),
    }


def container_wire(kind: AssetKind, name: str, found: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    numbers = [int(version) for version, _ in found if version.isdigit()]
    return {
        "id": resource_id(kind.collection, name),
        "name": name,
        "type": f"{names.WORKSPACE_TYPE}/{kind.collection}",
        "properties": {
            "description": None,
            "tags": {},
            "properties": {},
            "isArchived": all(doc["properties"].get("isArchived") for _, doc in found),
            "latestVersion": found[0][0],
            "nextVersion": str(max(numbers, default=0) + 1),
        },
        "systemData": asset_system_data(found[-1][1]["created"], found[0][1]["modified"]),
    }


def put_version(services: Services, kind: AssetKind, name: str, version: str, sent: Properties) -> dict[str, Any]:
    """Create a version, or change what may be changed of an existing one.

    Idempotency: the same PUT again answers the same version.
    Raises: AzureError: 409 when the content differs from what the version already holds.
    """
    now, key = timestamp(services.now()), f"{name}/{version}"
    if not sent.get(kind.content):
        detail = ("MissingContent", f"The {kind.content} field is required.")
        raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
    if services.store.get(kind.store_kind, key) is None:
        properties, own = kind.complete(services, name, version, sent)
        fresh = {"properties": properties, "sent": sent[kind.content], "created": now, "modified": now, **own}
        if services.store.insert(kind.store_kind, key, fresh):
            return fresh

    def change(old: dict[str, Any]) -> dict[str, Any]:
        if sent[kind.content] not in (old["sent"], old["properties"][kind.content]):
            raise _conflict(kind)
        changed = {key: value for key, value in sent.items() if key in _CHANGEABLE}
        return {**old, "properties": {**old["properties"], **changed}, "modified": now}

    doc = services.store.update(kind.store_kind, key, change)
    if doc is None:  # deleted in between
        raise no_version(kind, name, version)
    return doc


def routes(services: Services, kind: AssetKind) -> list[Route]:
    def existing(request: Request) -> list[tuple[str, dict[str, Any]]]:
        found = versions(services, kind, request.path_params["name"])
        if not found:
            raise _no_container(kind, request.path_params["name"])
        return found

    def list_containers(_: Request, __: dict[str, Any]) -> Response:
        keys = services.store.list(kind.store_kind)
        named = dict.fromkeys(key.rpartition("/")[0] for key, _ in keys)
        return json_response({"value": [container_wire(kind, name, versions(services, kind, name)) for name in named]})

    def get_container(request: Request, _: dict[str, Any]) -> Response:
        return json_response(container_wire(kind, request.path_params["name"], existing(request)))

    def list_versions(request: Request, _: dict[str, Any]) -> Response:
        name = request.path_params["name"]
        view = request.query_params.get("listViewType", "ActiveOnly").lower()
        hidden = {"activeonly": True, "archivedonly": False}.get(view)
        found = versions(services, kind, name)
        shown = [(version, doc) for version, doc in found if bool(doc["properties"].get("isArchived")) is not hidden]
        top = int(request.query_params.get("$top", len(shown)))
        return json_response({"value": [version_wire(kind, name, version, doc) for version, doc in shown[:top]]})

    def get_version(request: Request, _: dict[str, Any]) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]
        doc = find(services, kind, name, version)
        if doc is None:
            raise no_version(kind, name, version)
        return json_response(version_wire(kind, name, version, doc))

    def put(request: Request, payload: dict[str, Any]) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]
        doc = put_version(services, kind, name, version, properties_of(payload))
        headers = {"Location": location_header(request, services.config.base_url)}
        return json_response(version_wire(kind, name, version, doc), 201, headers)

    def delete(request: Request, _: dict[str, Any]) -> Response:
        key = f"{request.path_params['name']}/{request.path_params['version']}"
        return empty_response(200 if services.store.delete(kind.store_kind, key) else 204)

    base = f"{ARM}/{kind.collection}"
    one = f"{base}/{{name}}/versions/{{version}}"
    return [
        Route(base, threaded(list_containers)),
        Route(f"{base}/{{name}}", threaded(get_container)),
        Route(f"{base}/{{name}}/versions", threaded(list_versions)),
        Route(one, threaded(get_version)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(one, threaded(delete), methods=["DELETE"]),
    ]


def no_version(kind: AssetKind, name: str, version: str) -> AzureError:
    message = f"{kind.noun} version with name: {name}, version: {version} not found."
    return AzureError(404, "UserError", "The specified resource was not found.", [(f"{kind.noun}NotFound", message)])


def _no_container(kind: AssetKind, name: str) -> AzureError:
    message = f"{kind.noun} container with name: {name} not found."
    return AzureError(404, "UserError", "The specified resource was not found.", [(f"{kind.noun}NotFound", message)])


def _conflict(kind: AssetKind) -> AzureError:
    noun = kind.noun.lower()
    message = (
        f"A {noun} version with this name and version already exists. If you are trying to create a new {noun} "
        f"version, use a different name or version. If you are trying to update an existing {noun} version, the "
        f"existing asset's {noun} uri cannot be changed. Only tags, description, and isArchived can be updated."
    )
    return AzureError(409, "UserError", message, inner=("Conflict",))
