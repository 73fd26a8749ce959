"""Blob storage under the address that the SDK builds from a datastore: passed on to the real storage emulator.

The SDK insists on https://{accountName}.blob.core.windows.net. The datastores' accountName leads that address here.
Requests come signed for this address, which the storage emulator could not check; so they go on with a signature
of their own, after the caller has shown by some signature or token that it knows the account.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlencode

import httpx
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local import names
from local.azureml.http import AzureError
from local.azureml.services import Services
from local.azureml.storage import connection

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "authorization", "content-length"}
_METHODS = ["GET", "HEAD", "PUT", "DELETE", "POST"]
_TIMEOUT_S = 60.0
ARTIFACT_CONTAINER = "azureml"


def routes(services: Services) -> list[Route]:
    account = connection.parse(services.config.storage)

    def signature() -> str:
        return str(
            generate_account_sas(
                account_name=account.name,
                account_key=account.key,
                resource_types=ResourceTypes(service=True, container=True, object=True),
                permission=AccountSasPermissions(
                    read=True, write=True, delete=True, list=True, add=True, create=True, tag=True
                ),
                expiry=datetime.now(UTC) + timedelta(minutes=15),  # Azurite keeps the machine's time
            )
        )

    async def forward(request: Request) -> Response:
        if "Authorization" not in request.headers and "sig" not in request.query_params:
            raise AzureError(401, "NoAuthenticationInformation", "Server failed to authenticate the request.", arm=True)
        url = _url(f"{account.blob_endpoint}/{request.path_params['path']}", request, signature())
        content, headers = await request.body(), _kept(request)
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S) as client:
            answer = await client.request(request.method, url, content=content, headers=headers)
            if answer.headers.get("x-ms-error-code") == "ContainerNotFound" and await _made(client, url):
                answer = await client.request(request.method, url, content=content, headers=headers)
        return _answer(request, answer)

    async def _made(client: httpx.AsyncClient, url: str) -> bool:
        # A real workspace's containers exist from the beginning; these two come with their first use.
        container = url.removeprefix(f"{account.blob_endpoint}/").partition("/")[0].partition("?")[0]
        if container not in (names.WORKSPACE_CONTAINER, ARTIFACT_CONTAINER):
            return False
        made = await client.put(f"{account.blob_endpoint}/{container}?restype=container&{signature()}")
        return made.status_code in (201, 409)

    return [Route("/{account}.blob.core.windows.net/{path:path}", forward, methods=_METHODS)]


# What a shared access signature in the caller's URL consists of; it is replaced, not added to.
_SAS_NAMES = frozenset(
    ("sv", "ss", "srt", "sp", "se", "st", "spr", "sig", "sr", "si", "sip", "skoid", "sktid", "skt", "ske", "sks", "skv")
)


def _url(address: str, request: Request, signature: str) -> str:
    """Answer the address at the storage emulator: the caller's query, but with our own signature."""
    own = [(name, value) for name, value in request.query_params.multi_items() if name not in _SAS_NAMES]
    return f"{quote(address, safe=':/')}?{urlencode([*own, *parse_qsl(signature)])}"


def _kept(request: Request) -> dict[str, str]:
    kept = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
    if request.method == "PUT" and request.headers.get("content-length") == "0":
        kept["content-length"] = "0"
    return kept


def _answer(request: Request, answer: httpx.Response) -> Response:
    headers = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
    if request.method == "HEAD" and "content-length" in answer.headers:
        headers["content-length"] = answer.headers["content-length"]
    return Response(answer.content, answer.status_code, headers)
