"""Blob functions with source Event Grid: event -> queue message -> the call of the function."""

import base64
import ipaddress
import json
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.functions import meta

from local.functions_host.host_rules import HOST_STORAGE
from local.functions_host.invocation import Call
from local.functions_host.model import Function
from local.functions_host.storage import Connections

FUNCTION_ID_PREFIX = "Host.Functions."


class BlobEventError(ValueError):
    """The event or message does not name a blob."""


@dataclass(frozen=True)
class BlobMessage:
    """The message between webhook and function, in the extension's own JSON."""

    function_id: str
    container: str
    blob: str
    etag: str
    blob_type: str = "BlockBlob"

    @classmethod
    def from_event(cls, function_id: str, event: dict[str, Any]) -> "BlobMessage":
        """Read data.url, data.eTag and data.blobType: nothing else of the event is looked at."""
        data = event.get("data") or {}
        if not isinstance(data, dict) or not data.get("url"):
            raise BlobEventError("the event has no data.url")
        container, blob = _blob_of(str(data["url"]))
        return cls(function_id, container, blob, f'"{data.get("eTag", "")}"', str(data.get("blobType", "BlockBlob")))

    @classmethod
    def parse(cls, content: str) -> "BlobMessage":
        try:
            document = json.loads(base64.b64decode(content, validate=True))
            return cls(
                document["FunctionId"],
                document["ContainerName"],
                document["BlobName"],
                document["ETag"],
                document["BlobType"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BlobEventError(f"not a blob trigger message: {error}") from error

    def content(self) -> str:
        document = {
            "Type": "BlobTrigger",
            "FunctionId": self.function_id,
            "BlobType": self.blob_type,
            "ContainerName": self.container,
            "BlobName": self.blob,
            "ETag": self.etag,
        }
        return base64.b64encode(json.dumps(document, indent=2).encode()).decode()

    @property
    def path(self) -> str:
        return f"{self.container}/{self.blob}"


def _blob_of(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    segments = parts.path.lstrip("/").split("/")
    if _is_path_style(parts.hostname or ""):
        segments = segments[1:]  # the account's name
    if len(segments) < 2 or not all((segments[0], segments[1])):
        raise BlobEventError(f"{url} is not the address of a blob")
    return segments[0], unquote("/".join(segments[1:]))


def _is_path_style(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def connection(function: Function) -> str:
    return str(function.trigger.get("connection") or HOST_STORAGE)


def call(function: Function, message: BlobMessage, path_pattern: str, connections: Connections) -> Call | None:
    """Read the blob as it is now and return the invocation; None when it is gone. Blocking.

    The ETag of the event is not compared: two quick writes give two calls with the second content.
    """
    client = connections.blobs(connection(function)).get_blob_client(message.container, message.blob)
    try:
        properties = client.get_blob_properties()
        metadata = _metadata(message, path_pattern, client.url, properties)
        datum = _reference(function, message) if function.parameter.deferred else _content(client)
    except ResourceNotFoundError:
        return None
    return Call(function, datum, metadata, reason=message.path)


def _content(client: Any) -> meta.Datum:
    return meta.Datum(client.download_blob().readall(), "bytes")


def _reference(function: Function, message: BlobMessage) -> meta.Datum:
    content = {"Connection": connection(function), "ContainerName": message.container, "BlobName": message.blob}
    binding_data = SimpleNamespace(
        version="1.0", source="AzureStorageBlobs", content_type="application/json", content=json.dumps(content)
    )
    return meta.Datum(binding_data, "model_binding_data")


def _metadata(message: BlobMessage, path_pattern: str, url: str, properties: Any) -> dict[str, meta.Datum]:
    described = {
        "LastModified": properties.last_modified.isoformat(),
        "CreatedOn": properties.creation_time.isoformat() if properties.creation_time else None,
        "Metadata": properties.metadata or {},
        "BlobType": 0,
        "ContentLength": properties.size,
        "ContentType": properties.content_settings.content_type,
        "ContentEncoding": properties.content_settings.content_encoding,
        "ETag": properties.etag,
    }
    tokens = path_tokens(path_pattern, message.path)
    return {
        "BlobTrigger": meta.Datum(message.path, "string"),
        "Uri": meta.Datum(json.dumps(url), "json"),
        "Properties": meta.Datum(json.dumps(described), "json"),
        "Metadata": meta.Datum(json.dumps(properties.metadata or {}), "json"),
    } | {name: meta.Datum(value, "string") for name, value in tokens.items()}


def path_tokens(pattern: str, path: str) -> dict[str, str]:
    """Return the values of the pattern's tokens: `datasets/{name}` and `datasets/a/b.txt` give name = a/b.txt."""
    parts = re.split(r"\{(\w+)\}", pattern)
    expression = "".join(
        re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+{'' if index == len(parts) - 2 else '?'})"
        for index, part in enumerate(parts)
    )
    match = re.fullmatch(expression, path)
    return match.groupdict() if match else {}
