"""Takes what Azure ML tells Event Grid, in a process of its own; how it is delivered is decided elsewhere."""

from __future__ import annotations

import contextlib
import json
import ssl
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from typing import Any

from local.lifeline import end_with_parent
from local.tls import Tls
from tests.faults.hosts import FORK

Event = dict[str, Any]


class PostOffice:
    """A server on a port; `events` gives what has come in since the last call."""

    def __init__(self, port: int, tls: Tls) -> None:
        self._inbox, theirs = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_serve, args=(theirs, port, tls), daemon=True)
        self._process.start()
        theirs.close()
        assert self._inbox.poll(120), "the post office did not open"
        self._inbox.recv()

    def events(self) -> list[Event]:
        found: list[Event] = []
        while self._inbox.poll():
            found += self._inbox.recv()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._inbox.close()


def _serve(outbox: Connection, port: int, tls: Tls) -> None:
    end_with_parent()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            outbox.send(sent if isinstance(sent, list) else [sent])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True  # one thread: nobody may keep it waiting

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.cert, tls.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    outbox.send([])
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
