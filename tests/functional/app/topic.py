"""An Event Grid topic that takes events, refuses them, or is not there."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.tls import Tls


class Topic:
    """Takes CloudEvents over https. Every call is answered `status`, and noted when that is a success."""

    def __init__(self, tls: Tls) -> None:
        self.status, self.calls = 200, 0
        self.events: list[dict[str, Any]] = []
        topic = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                events = json.loads(self.rfile.read(int(self.headers["content-length"])))
                topic.calls += 1
                if topic.status == 200:
                    topic.events += events
                self.send_response(topic.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert, tls.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/api/events"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def told_of(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's events in the order in which they were taken, with repetitions."""
        return [event for event in self.events if event["data"]["runId"] == run_id]
