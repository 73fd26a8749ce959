"""The front door of online endpoints: checks the key, chooses a deployment, forwards, counts.

Status codes are those of the documentation's table for managed online endpoints: 401, 404 without a deployment that
has traffic, 408 after the request timeout, 424 when the model answered anything but 200, 429 above the limit.
"""

import hmac
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml import identity
from local.azureml.deployments import state as deployment_state
from local.azureml.deployments import store as deployments
from local.azureml.endpoints import state as endpoint_state
from local.azureml.endpoints import store as endpoints
from local.azureml.http import AzureError
from local.azureml.metrics import store as metrics
from local.azureml.scoring import state
from local.azureml.services import Services

_SERVER = {"Server": "azureml-frontdoor"}
_DEPLOYMENT = "azureml-model-deployment"


class _RefusedError(Exception):
    def __init__(self, status: int, text: str, deployment: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.deployment = deployment


@dataclass(frozen=True)
class _Target:
    endpoint: str
    deployment: str
    url: str
    timeout_s: float
    limit: int


class FrontDoor:
    """Forwards requests to the deployments' processes. `port_of` answers a process's port, or None."""

    def __init__(self, services: Services, port_of: Callable[[str], int | None]) -> None:
        self._services = services
        self._port_of = port_of
        self._pending: Counter[str] = Counter()
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))

    async def close(self) -> None:
        await self._client.aclose()

    async def score(self, request: Request) -> Response:
        started = time.perf_counter()
        model_status: int | None = None
        name = request.path_params["endpoint"]
        self._pending[name] += 1
        try:
            target = await run_in_threadpool(self._target, request)
            answer = await self._forward(request, target)
            model_status = int(answer.headers.get("ms-azureml-model-error-statuscode", answer.status_code))
        except ClientDisconnect:
            answer = Response(status_code=499)  # as front ends note it; nobody reads it
        except _RefusedError as refusal:
            answer = Response(refusal.text, refusal.status, media_type="text/plain")
            if refusal.deployment:
                answer.headers[_DEPLOYMENT] = refusal.deployment
        finally:
            pending = self._leave(name)
        answer.headers.update({**_SERVER, "X-Request-ID": str(uuid.uuid4())})
        await run_in_threadpool(
            self._count, name, answer, model_status, (time.perf_counter() - started) * 1000, pending
        )
        return answer

    def is_busy(self, deployment_key: str) -> bool:
        """Tell whether a deployment has requests to answer."""
        return self._pending[deployment_key] > 0

    def _leave(self, name: str) -> int:
        """Note that a request is over; answer how many there were with it."""
        pending = self._pending[name]
        self._pending[name] -= 1
        if not self._pending[name]:
            del self._pending[name]
        return pending

    def _count(self, name: str, answer: Response, model_status: int | None, ms: float, pending: int) -> None:
        if endpoints.find(self._services, name) is not None:
            deployment = answer.headers.get(_DEPLOYMENT, "")
            metrics.record(self._services, name, deployment, answer.status_code, model_status, ms, pending)

    def _target(self, request: Request) -> _Target:
        name = request.path_params["endpoint"]
        endpoint = endpoints.find(self._services, name)
        if endpoint is None:
            raise _RefusedError(404, f"There is no endpoint {name}")
        _check_caller(self._services, endpoint, request.headers.get("Authorization"))
        traffic = endpoint_state.traffic_at(endpoint, self._services.now())
        asked = request.headers.get(_DEPLOYMENT)
        chosen = asked or state.choose(traffic, random.uniform(0, 99.999999))
        if chosen is None:
            raise _RefusedError(404, "The endpoint doesn't have any valid deployment with positive weight.")
        doc = deployments.find(self._services, name, chosen)
        if doc is None:
            raise _RefusedError(404, f"Specified deployment {chosen} could not be found.")
        port = self._port_of(deployments.key(name, chosen))
        if port is None:
            raise _RefusedError(503, "no healthy upstream", doc["name"])
        url = f"http://127.0.0.1:{port}/{request.path_params['path']}"
        timeout_s, limit = deployment_state.request_timeout_s(doc), deployment_state.pending_limit(doc)
        return _Target(endpoint["name"], doc["name"], url, timeout_s, limit)

    async def _forward(self, request: Request, target: _Target) -> Response:
        key = deployments.key(target.endpoint, target.deployment)
        if self._pending[key] >= target.limit:
            raise _RefusedError(429, "Too many pending requests", target.deployment)
        self._pending[key] += 1
        try:
            answer = await self._client.request(
                request.method,
                target.url,
                params=request.query_params,
                content=await request.body(),
                headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
                timeout=target.timeout_s,
            )
        except httpx.TimeoutException as error:
            raise _RefusedError(408, "upstream request timeout", target.deployment) from error
        except httpx.HTTPError as error:
            message = "upstream connect error or disconnect/reset before headers"
            raise _RefusedError(503, message, target.deployment) from error
        finally:
            self._leave(key)
        return _answer(answer, target.deployment)


def _answer(answer: httpx.Response, deployment: str) -> Response:
    """Pass the model's answer on; anything but 200 becomes 424 with the model's own status in a header."""
    kept = {name: value for name, value in answer.headers.items() if name.startswith("x-ms-run-")}
    kept["ms-azureml-model-time"] = str(int(answer.elapsed.total_seconds() * 1000))
    headers = {**kept, _DEPLOYMENT: deployment, "Content-Type": answer.headers.get("Content-Type", "text/plain")}
    if answer.status_code == 200:
        return Response(answer.content, 200, headers)
    headers["ms-azureml-model-error-reason"] = "model_error"
    headers["ms-azureml-model-error-statuscode"] = str(answer.status_code)
    return Response(answer.content, 424, headers)


def _check_caller(services: Services, endpoint: dict[str, Any], header: str | None) -> None:
    given = state.bearer(header)
    if given is None:
        raise _RefusedError(401, state.NO_HEADER)
    if endpoint["auth_mode"] == "Key":
        keys = endpoint["keys"].values()
        if not any(hmac.compare_digest(given.encode(), key.encode()) for key in keys):
            raise _RefusedError(401, state.WRONG_KEY)
        return
    try:
        claims = identity.claims_of(services, given)
    except AzureError as error:
        raise _RefusedError(401, error.message) from error
    if endpoint["auth_mode"] == "AMLToken" and claims.get("endpointName") != endpoint["name"]:
        raise _RefusedError(401, "The token is for another endpoint.")
    if endpoint["auth_mode"] == "AADToken" and str(claims.get("aud")).rstrip("/") != state.AUDIENCE:
        raise _RefusedError(401, f"The token's audience is not {state.AUDIENCE}.")


def routes(front_door: FrontDoor) -> list[Route]:
    """Make the front door's routes; unlike every other resource it holds connections, so it is given, not made."""
    return [Route("/inference/{endpoint}/{path:path}", front_door.score, methods=["GET", "POST"])]
