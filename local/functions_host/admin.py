"""The host's `/admin` addresses: state, functions, keys, running a function by hand, draining."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.functions_host.keys import Keys
from local.functions_host.model import Function
from local.functions_host.wire import Answer, Request, as_json, text

VERSION = "4.1037.0-local"

# Starts one run of a function by hand; raises ValueError when the input is not one the trigger can use.
RunByHand = Callable[[Function, str], Awaitable[None]]


class Admin:
    """Answers `/admin/...`. The caller has checked the key; `ping` needs none."""

    def __init__(
        self,
        host_id: str,
        functions: Mapping[str, Function],
        keys: Keys,
        run: RunByHand,
        drain: Callable[[], None],
        is_draining: Callable[[], bool],
        active: Callable[[], int],
    ) -> None:
        self._host_id = host_id
        self._functions = functions
        self._keys = keys
        self._run = run
        self._drain = drain
        self._is_draining = is_draining
        self._active = active
        self._started = time.monotonic()

    async def answer(self, request: Request) -> Answer:
        match request.method, request.path.strip("/").split("/")[1:]:
            case "GET" | "POST", ["host", "ping"]:
                return Answer(200)
            case "GET", ["host", "status"]:
                return as_json(200, self._status())
            case "GET", ["host", "keys"]:
                return as_json(200, self._host_keys())
            case "POST", ["host", "synctriggers"]:
                return as_json(200, {"status": "success"})
            case "POST", ["host", "drain"]:
                self._drain()
                return Answer(202)
            case "GET", ["host", "drain", "status"]:
                return as_json(200, self._drain_status())
            case "GET" | "POST", ["warmup"]:
                return Answer(200)
            case "GET", ["functions"]:
                return as_json(200, [self._describe(one) for one in self._functions.values()])
            case method, ["functions", name, *rest]:
                return await self._function(request, method, name, rest)
        return Answer(404)

    async def _function(self, request: Request, method: str, name: str, rest: list[str]) -> Answer:
        function = self._functions.get(name.lower())
        if function is None:
            return Answer(404)
        match method, rest:
            case "GET", []:
                return as_json(200, self._describe(function))
            case "GET", ["status"]:
                return as_json(200, {"errors": function.errors} if function.errors else {})
            case "GET", ["keys"]:
                own = self._keys.functions.get(function.name)
                return as_json(200, {"keys": [{"name": "default", "value": own}] if own else []})
            case "POST", []:
                return await self._start(function, request)
        return Answer(404)

    async def _start(self, function: Function, request: Request) -> Answer:
        try:
            document = json.loads(request.body)
            given = document["input"] if isinstance(document, dict) else None
            if not isinstance(given, str) or function.errors:
                return Answer(400)
            await self._run(function, given)
        except (ValueError, KeyError) as error:
            return text(400, str(error))
        return Answer(202)

    def _status(self) -> dict[str, Any]:
        errors = [f"The '{one.name}' function is in error: {e}" for one in self._functions.values() for e in one.errors]
        return {
            "id": self._host_id,
            "state": "Running",
            "version": VERSION,
            "versionDetails": VERSION,
            "processUptime": round((time.monotonic() - self._started) * 1000),
            "errors": errors,
            "now": datetime.now(UTC).isoformat(),  # not in Azure: for `python -m local clock`
        }

    def _host_keys(self) -> dict[str, Any]:
        return {"keys": [{"name": "default", "value": self._keys.default}]}

    def _drain_status(self) -> dict[str, Any]:
        state = "InProgress" if self._active() else "Completed"
        if not self._is_draining():
            state = "Disabled"
        return {"state": state, "outstandingInvocations": self._active(), "outstandingRetries": 0}

    def _describe(self, function: Function) -> dict[str, Any]:
        return {
            "name": function.name,
            "script_root_path_href": None,
            "config": {"bindings": list(function.bindings), "language": "python"},
            "isDisabled": bool(function.errors),
            "language": "python",
        }
