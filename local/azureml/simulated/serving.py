"""A deployment as if: a thread that answers on a port, with the sentence that the model has learnt."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.azureml.simulated.training import ANSWER


class SimulatedServing:
    """Stands where the process of a deployment does. Raises: OSError: the model's files are gone."""

    def __init__(self, model: Path, port: int) -> None:
        answer = json.dumps({"output": (model / ANSWER).read_text("utf-8")}).encode()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.5,), daemon=True)
        self._thread.start()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        """End it without waiting: it answers nobody from now on."""
        if self.returncode is None:
            self.returncode = 0
            threading.Thread(target=self._close, daemon=True).start()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, _: float | None = None) -> int:
        return 0


def _handler(answer: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, b"Healthy")

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                json.loads(sent)
            except ValueError:
                self._send(400, b"the body is not JSON")
            else:
                self._send(200, answer)

        def _send(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("x-ms-run-function-failed", str(status != 200))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
