"""The managed identity: App Service's token endpoint over plain http, and the check of what it issued."""

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local import names
from local.azureml.http import AzureError
from local.azureml.services import Services
from local.tls import Tls

CLIENT_ID = "00000000-0000-0000-0000-0000000c11e7"
PRINCIPAL_ID = "00000000-0000-0000-0000-000000097192"
_LIFETIME_S = 24 * 3600
# A job's process cannot ask for another one, and the clock may be moved by days while it runs.
_JOB_LIFETIME_S = 10 * 366 * 24 * 3600


def identity_header(tls: Tls) -> str:
    """Answer the secret that IDENTITY_HEADER carries: the same for everyone who can read the server's key."""
    return hashlib.sha256(tls.key.read_bytes()).hexdigest()[:32]


def issue(services: Services, audience: str, **claims: Any) -> str:
    """Sign a token for one audience, with the shape of Microsoft Entra's (a JWT)."""
    now = int(services.now().timestamp())
    payload = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{names.TENANT}/",
        "iat": now,
        "nbf": now,
        "exp": now + (_JOB_LIFETIME_S if "job" in claims else _LIFETIME_S),
        "appid": CLIENT_ID,
        "oid": PRINCIPAL_ID,
        "tid": names.TENANT,
        **claims,
    }
    unsigned = f"{_encode({'typ': 'JWT', 'alg': 'HS256'})}.{_encode(payload)}"
    return f"{unsigned}.{_signature(services, unsigned)}"


def claims_of(services: Services, token: str) -> dict[str, Any]:
    """Answer the claims of a token that this emulator issued.

    Raises: AzureError: 401 when it is not ours, or has expired.
    """
    unsigned, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(services, unsigned).encode()):
        raise AzureError(401, "InvalidAuthenticationToken", "The access token is invalid.", arm=True)
    payload = unsigned.partition(".")[2]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if claims["exp"] <= services.now().timestamp():
        raise AzureError(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier.", arm=True)
    return claims


def job_of(header: str | None) -> str | None:
    """Answer the job whose process sends an Authorization header, if one does. The token is not checked here."""
    parts = (header or "").split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims.get("job") if isinstance(claims, dict) else None


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def _signature(services: Services, unsigned: str) -> str:
    digest = hmac.new(_secret(services), unsigned.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _secret(services: Services) -> bytes:
    # Kept in the store: a token outlives a restart, as a real one would.
    found = services.store.get("secret", "token-signing-key")
    if found is None:
        services.store.insert("secret", "token-signing-key", {"value": secrets.token_hex(32)})
        return _secret(services)
    return bytes.fromhex(found["value"])


def token_body(token: str, resource: str, expires: datetime) -> dict[str, str]:
    """Write the answer of the App Service token endpoint, api-version 2019-08-01."""
    return {
        "access_token": token,
        "client_id": CLIENT_ID,
        "expires_on": str(int(expires.timestamp())),
        "resource": resource,
        "token_type": "Bearer",
    }


def identity_app(services: Services) -> Starlette:
    """Make the application that listens on the identity port."""
    expected = identity_header(services.config.tls)

    async def token(request: Request) -> Response:
        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            return _refused(401, "X-IDENTITY-HEADER is missing or is not this host's IDENTITY_HEADER")
        resource = request.query_params.get("resource")
        if not resource:
            return _refused(400, "the query has no resource")
        issued = issue(services, resource)
        expires = datetime.fromtimestamp(claims_of(services, issued)["exp"], tz=services.now().tzinfo)
        return JSONResponse(token_body(issued, resource, expires))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/msi/token", token), Route("/local/health", health)])


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)
