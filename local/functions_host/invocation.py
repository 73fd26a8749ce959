"""Run one function: decode what the trigger sent, call, check and encode what came back.

Conversions are the SDK's own; the order of the steps is the worker's (`handle_event.invocation_request`).
"""

import asyncio
import logging
import os
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from azure.functions import meta

from local.functions_host.annotations import converter
from local.functions_host.context import Context, RetryContext
from local.functions_host.model import BLOB_TRIGGER, HTTP_TRIGGER, TIMER_TRIGGER, Function

log = logging.getLogger("host")


@dataclass(frozen=True)
class Call:
    """One invocation to make. `datum` goes to the trigger's parameter; `metadata` is what came with it."""

    function: Function
    datum: meta.Datum
    metadata: Mapping[str, meta.Datum] = field(default_factory=dict)
    reason: str = ""
    retries: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Result:
    """`value` is the encoded return value (HTTP only); `error` is `Type: message` of a failure."""

    ok: bool
    value: meta.Datum | None = None
    error: str = ""


class Engine:
    """Invokes functions: sync ones in threads, async ones on one event loop of their own, as the worker does.

    A function that runs long holds up only its own kind: HTTP functions share threads, blob functions share threads,
    every other function has its own. Flex Consumption divides an app over instances in the same way.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._loop = asyncio.new_event_loop()
        self._active = 0
        self._loop_thread = threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True)
        self._loop_thread.start()

    @property
    def active(self) -> int:
        """Invocations under way."""
        return self._active

    def close(self) -> None:
        """Take no further invocation. Threads that still run a function are left to it."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._loop_thread.join(5)
        if not self._loop.is_running():
            self._loop.close()

    async def invoke(self, call: Call) -> Result:
        """Run one invocation and report it in one line; a failure is a result, not an exception.

        A timer's success is a line for debugging only: with a schedule of seconds there would be no others.
        """
        started = time.monotonic()
        self._active += 1
        try:
            result = await self._run(call)
        finally:
            self._active -= 1
        milliseconds = round((time.monotonic() - started) * 1000)
        reason = f" ({call.reason})" if call.reason else ""
        if result.ok:
            level = logging.DEBUG if call.function.kind == TIMER_TRIGGER else logging.INFO
            log.log(level, "%s ok %d ms%s", call.function.name, milliseconds, reason)
        else:
            log.error("%s failed %d ms%s: %s", call.function.name, milliseconds, reason, result.error)
        return result

    async def _run(self, call: Call) -> Result:
        future = asyncio.wrap_future(self._submit(call))
        done, _ = await asyncio.wait([future], timeout=self._timeout_s)
        if done:
            return future.result()
        future.cancel()
        return Result(
            False,
            error=f"FunctionTimeoutException: Timeout value of {self._timeout_s:g} s was exceeded by function: "
            f"Functions.{call.function.name}",
        )

    def _submit(self, call: Call) -> "Future[Result]":
        if call.function.is_async:
            return asyncio.run_coroutine_threadsafe(_run_async(call), self._loop)
        return self._pool(call.function).submit(_run_sync, call)

    def _pool(self, function: Function) -> ThreadPoolExecutor:
        group = function.kind if function.kind in (HTTP_TRIGGER, BLOB_TRIGGER) else function.name
        if group not in self._pools:
            count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
            self._pools[group] = ThreadPoolExecutor(int(count) if count else None, thread_name_prefix=group)
        return self._pools[group]


def _run_sync(call: Call) -> Result:
    try:
        context = _context(call)
        context.thread_local_storage.invocation_id = context.invocation_id
        arguments = _arguments(call, context)
        return _result(call, call.function.call(**arguments))
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its result
        return _failure(call, error)


async def _run_async(call: Call) -> Result:
    try:
        # Decoding may build an SDK client: not on the loop that every async function shares.
        arguments = await asyncio.to_thread(_arguments, call, _context(call))
        return _result(call, await call.function.call(**arguments))
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its result
        return _failure(call, error)


def _context(call: Call) -> Context:
    function = call.function
    return Context(function.name, function.directory, str(uuid.uuid4()), RetryContext(*call.retries))


def _arguments(call: Call, context: Context) -> dict[str, Any]:
    function, parameter = call.function, call.function.parameter
    decoder = converter(parameter.binding_type, parameter.deferred)
    more = {"pytype": parameter.annotation} if parameter.deferred else {}
    arguments = {function.trigger["name"]: decoder.decode(call.datum, trigger_metadata=call.metadata, **more)}
    if function.wants_context:
        arguments["context"] = context
    return arguments


def _result(call: Call, returned: Any) -> Result:
    function = call.function
    if function.return_binding is None:
        if returned is not None:
            raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
        return Result(True)
    encoder = converter(function.return_binding)
    try:
        return Result(True, encoder.encode(returned, expected_type=function.return_annotation))
    except NotImplementedError as error:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{function.return_binding}" '
            f'for Python type "{type(returned).__name__}"'
        ) from error


def _failure(call: Call, error: Exception) -> Result:
    logging.getLogger(f"function.{call.function.name}").error("the function raised", exc_info=error)
    return Result(False, error=f"{type(error).__name__}: {error}")
