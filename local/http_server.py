"""An ASGI application served on 127.0.0.1: within the caller's event loop, or in a thread of its own."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 3


def listen(port: int) -> socket.socket:
    """Open a port; 0 takes any free one. Raises: OSError: it could not be opened."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise OSError(f"port {port} of 127.0.0.1 could not be opened: is it in use? ({error})") from error
    return listener


class Server(uvicorn.Server):
    """A server that leaves signals to the caller, who has more to end than this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _PromptServer(Server):
    """A server that ends at once when nobody is being answered.

    Clients keep idle connections open, and closing a TLS connection politely waits for the other side, which does
    not look. So idle ones are cut, and those still busy after the grace period too.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cut(idle_only=True)
        await super().shutdown(sockets)
        self._cut(idle_only=False)
        await asyncio.sleep(0.05)  # lets the loop take notice, or it would be closed with open connections

    def _cut(self, *, idle_only: bool) -> None:
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            busy = cycle is not None and not cycle.response_complete
            transport = getattr(connection, "transport", None)
            if transport is not None and not (busy and idle_only):
                transport.abort()


class ThreadedServer:
    """A server in a thread of its own. `options` are uvicorn's."""

    def __init__(self, app: ASGIApp, port: int, **options: Any) -> None:
        config = uvicorn.Config(
            app,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_LIMIT_S,
            **options,
        )
        self._server = _PromptServer(config)
        self._port = port
        self._thread = threading.Thread(target=self._run, name=f"http-{port}", daemon=True)

    def start(self) -> None:
        """Start and wait until the port answers.

        Raises: OSError: the port could not be opened.
        """
        self._listener = listen(self._port)
        self._thread.start()
        deadline = time.monotonic() + _START_LIMIT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise OSError(f"the server on port {self._port} of 127.0.0.1 did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        with self._listener:
            self._server.run(sockets=[self._listener])
