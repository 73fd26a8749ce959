"""The host without a socket: one `Request` in, one `Answer` out."""

import asyncio
import json
import logging
from typing import Any

from azure.core.exceptions import AzureError

from local.functions_host import event_grid, http_trigger
from local.functions_host.admin import Admin
from local.functions_host.blob_queue import BlobQueue
from local.functions_host.blob_trigger import FUNCTION_ID_PREFIX, BlobEventError, BlobMessage
from local.functions_host.http_trigger import HttpRoutes
from local.functions_host.invocation import Call, Engine
from local.functions_host.keys import BLOBS_KEY, EVENT_GRID_KEY, Keys
from local.functions_host.model import BLOB_TRIGGER, EVENT_GRID_TRIGGER, HTTP_TRIGGER, TIMER_TRIGGER, Function
from local.functions_host.settings import HostConfig
from local.functions_host.storage import StorageSettingError
from local.functions_host.timers import timer_call
from local.functions_host.wire import Answer, Request, text

log = logging.getLogger("host")


class Gateway:
    """Dispatches to HTTP functions, the two webhooks and the admin addresses; checks keys.

    `needs_keys`: ask HTTP functions and admin addresses for theirs. Webhooks always need one.
    """

    def __init__(
        self,
        host_id: str,
        functions: list[Function],
        config: HostConfig,
        keys: Keys,
        engine: Engine,
        queue: BlobQueue,
        needs_keys: bool = False,
    ) -> None:
        usable = [function for function in functions if not function.errors]
        self._routes = HttpRoutes([one for one in usable if one.kind == HTTP_TRIGGER], config.route_prefix)
        self._event_grid = {one.name.lower(): one for one in usable if one.kind == EVENT_GRID_TRIGGER}
        self._keys = keys
        self._engine = engine
        self._queue = queue
        self._needs_keys = needs_keys
        self._limit = config.max_outstanding_requests
        self._outstanding = 0
        self.is_draining = False
        self.on_drain: list[Any] = []
        self._by_hand: set[asyncio.Task[Any]] = set()
        self._admin = Admin(
            host_id,
            {function.name.lower(): function for function in functions},
            keys,
            self._run_by_hand,
            self.drain,
            lambda: self.is_draining,
            lambda: engine.active,
        )

    def drain(self) -> None:
        """Stop the listeners; calls over HTTP still work, as in the host."""
        self.is_draining = True
        for listener in self.on_drain:
            listener()

    async def answer(self, request: Request) -> Answer:
        first, _, rest = request.path.strip("/").partition("/")
        if first.lower() == "admin":
            return await self._admin_answer(request)
        if first.lower() == "runtime":
            return await self._webhook(request, rest.lower())
        found = self._routes.find(request.method, request.path)
        if found is None:
            return Answer(404)
        if self._needs_keys and not self._may_call(request, found[0]):
            return Answer(401)
        if 0 <= self._limit <= self._outstanding:
            return Answer(429)
        return await self._http(request, *found)

    async def _http(self, request: Request, function: Function, parameters: dict[str, str]) -> Answer:
        datum = http_trigger.request_datum(request, parameters)
        self._outstanding += 1
        try:
            call = Call(function, datum, reason=f"{request.method} {request.path}")
            return http_trigger.answer(await self._engine.invoke(call))
        finally:
            self._outstanding -= 1

    def _may_call(self, request: Request, function: Function) -> bool:
        wanted = str(function.trigger.get("authLevel", "FUNCTION")).lower()
        level = self._keys.level(_key(request), function.name)
        allowed = {"anonymous": None, "function": ("function", "admin"), "admin": ("admin",)}.get(wanted, ())
        return allowed is None or level in allowed

    async def _admin_answer(self, request: Request) -> Answer:
        is_open = request.path.rstrip("/").lower() == "/admin/host/ping" or not self._needs_keys
        if not is_open and self._keys.level(_key(request)) != "admin":
            return Answer(401)
        return await self._admin.answer(request)

    async def _webhook(self, request: Request, path: str) -> Answer:
        extension = {"webhooks/eventgrid": EVENT_GRID_KEY, "webhooks/blobs": BLOBS_KEY}.get(path)
        if extension is None:
            return Answer(404)
        if not self._keys.opens_webhook(_key(request), extension):
            return Answer(401)
        if request.method not in ("POST", "OPTIONS"):
            return Answer(404)
        name = request.parameter("functionName") or ""
        if extension == BLOBS_KEY:
            return await event_grid.webhook(request, lambda events: self._enqueue(name, events))
        function = self._event_grid.get(name.lower())
        if function is None:
            return text(404, f"cannot find function: '{name}'")
        return await event_grid.webhook(request, lambda events: self._notify(function, events))

    async def _notify(self, function: Function, events: list[dict[str, Any]]) -> Answer:
        # All at once; one failure makes Event Grid send the whole array again.
        results = await asyncio.gather(*(self._engine.invoke(event_grid.call(function, event)) for event in events))
        failed = next((result for result in results if not result.ok), None)
        return text(500, failed.error) if failed else Answer(202)

    async def _enqueue(self, function_id: str, events: list[dict[str, Any]]) -> Answer:
        # As in the extension, neither event type nor path pattern is checked, and an unknown function is noticed later.
        try:
            for event in events:
                await self._queue.add(BlobMessage.from_event(function_id, event))
        except (BlobEventError, StorageSettingError, AzureError) as error:
            log.error("blob trigger webhook: %s", error)
            return text(500, str(error))
        return Answer(202)

    async def _run_by_hand(self, function: Function, given: str) -> None:
        if function.kind == BLOB_TRIGGER:
            container, _, blob = given.partition("/")
            if not blob:
                raise ValueError(f"{given!r} is not container/blob")
            await self._queue.add(BlobMessage(f"{FUNCTION_ID_PREFIX}{function.name}", container, blob, ""))
            return
        task = asyncio.create_task(self._engine.invoke(_call_by_hand(function, given)))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)


def _call_by_hand(function: Function, given: str) -> Call:
    if function.kind == TIMER_TRIGGER:
        return timer_call(function, None, False, "by hand")
    if function.kind == EVENT_GRID_TRIGGER:
        return event_grid.call(function, json.loads(given))
    request = Request("POST", f"http://localhost/{function.name}", f"/{function.name}", body=given.encode())
    return Call(function, http_trigger.request_datum(request, {}), reason="by hand")


def _key(request: Request) -> str:
    return request.header("x-functions-key") or request.parameter("code") or ""
