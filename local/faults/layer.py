"""ASGI middleware around a server, outermost: spoils the requests that faults.json names."""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local import lock
from local.faults import answers, host
from local.faults.book import Book, book_of
from local.faults.rules import HostKill, RequestFault

_LOG = logging.getLogger(__name__)
_OWN = re.compile(r"/local(/|$)", re.IGNORECASE)
_LOOK_S = 0.1
# Event Grid has the job's last event: its subscriber gets it within this time.
_DELIVERY_S = 2
PlaneOf = Callable[[str], str]
HasEnded = Callable[[str], bool]


class FaultLayer:
    """Args: plane_of: which plane a path belongs to. has_ended: whether the job whose path was put has ended.

    is_exempt: whether a request with such an Authorization header is never spoilt.
    """

    def __init__(
        self,
        app: ASGIApp,
        state_dir: Path,
        now: Callable[[], datetime],
        plane_of: PlaneOf,
        has_ended: HasEnded = lambda _: True,
        is_exempt: Callable[[str | None], bool] = lambda _: False,
    ) -> None:
        self._app, self._state_dir, self._book = app, state_dir, book_of(state_dir)
        self._now, self._plane_of, self._has_ended, self._is_exempt = now, plane_of, has_ended, is_exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._may_spoil(scope):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], re.sub(r"^/{2,}", "/", scope["path"])
        kill, fault = await run_in_threadpool(_asked, self._book, self._state_dir, method, path, self._plane_of(path))
        body = _Body(receive)
        answered = send
        if fault is not None or kill is not None:
            answered = self._spoiled(fault, kill, method, path, body, send)
            if fault is not None and fault.when == "before" and not await self._before(fault, path, body, send):
                return
            if kill is not None and kill.kill == "before":
                await run_in_threadpool(self._kill_host, kill, method, path)
                await _drop(body, send)
                return
        await self._app(scope, body, answered)

    def _may_spoil(self, scope: Scope) -> bool:
        if _OWN.match(scope["path"]) or not self._book.entries():
            return False
        return not self._is_exempt(Headers(scope=scope).get("authorization"))

    async def _before(self, fault: RequestFault, path: str, body: "_Body", send: Send) -> bool:
        """Spoil a request before it is carried out; returns whether it still is to be."""
        await asyncio.sleep(fault.delay_s)
        if fault.drop:
            await _drop(body, send)
        elif fault.status is not None:
            await self._refuse(fault, path, await body.whole(), send)
        return not fault.drop and fault.status is None

    def _spoiled(
        self, fault: RequestFault | None, kill: HostKill | None, method: str, path: str, body: "_Body", send: Send
    ) -> Send:
        """Return a `send` that spoils the answer of a request that was carried out."""
        after = fault if fault is not None and fault.when == "after" else None
        kills = kill is not None and kill.kill == "after"
        if after is None and not kills:
            return send

        async def spoil(message: Message) -> None:
            if message["type"] == "http.response.start":
                if kills:
                    await run_in_threadpool(self._kill_host, kill, method, path)
                if after is not None:
                    await self._wait(after, path)
                if kills or (after is not None and after.drop):
                    await _drop(body, send)
                    return
            if kills or (after is not None and after.drop):
                return
            if after is None or after.status is None:
                await send(message)
            elif message["type"] == "http.response.start":
                await self._refuse(after, path, body.read, send)

        return spoil

    def _kill_host(self, rule: HostKill | None, method: str, path: str) -> None:
        pid = host.kill(self._state_dir)
        if pid is not None and rule is not None:
            _LOG.warning("the Functions host (process %d) was killed %s %s %s", pid, rule.kill, method, path)

    async def _wait(self, fault: RequestFault, path: str) -> None:
        deadline = asyncio.get_running_loop().time() + fault.delay_s
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            if fault.until is not None and await run_in_threadpool(self._has_ended, path):
                await asyncio.sleep(_DELIVERY_S)
                return
            await asyncio.sleep(left if fault.until is None else min(left, _LOOK_S))

    async def _refuse(self, fault: RequestFault, path: str, sent: bytes, send: Send) -> None:
        answer = answers.answer(fault, self._plane_of(path), sent, self._now())
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})


class _Body:
    """A request's body that is kept while it is read: an answer may name what was sent."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_whole = False
        self.read = b""

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.read += message.get("body", b"")
            self._is_whole = not message.get("more_body", False)
        else:
            self._is_whole = True
        return message

    async def whole(self) -> bytes:
        while not self._is_whole:
            await self()
        return self.read


def _asked(
    book: Book, state_dir: Path, method: str, path: str, plane: str
) -> tuple[HostKill | None, RequestFault | None]:
    kill = None
    # Counted only when there is a host to kill.
    if plane != "events" and book.entries("host") and lock.holder(state_dir, host.NAME) is not None:
        kill = book.find(HostKill, lambda rule: rule.concerns(method, path))
    fault = book.find(RequestFault, lambda rule: rule.concerns(method, path, plane))
    return kill, fault


async def _drop(body: _Body, send: Send) -> None:
    """Cut the connection without an answer. The server (uvicorn) has no way to ask for it but its own transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:  # another server, or a test's client: the nearest thing
        content = json.dumps({"error": {"code": "ConnectionLost", "message": "The connection was to be dropped."}})
        await send({"type": "http.response.start", "status": HTTPStatus.BAD_GATEWAY, "headers": []})
        await send({"type": "http.response.body", "body": content.encode()})
        return
    transport.abort()
    while (await body())["type"] != "http.disconnect":  # so that the server knows it before the request ends
        pass
