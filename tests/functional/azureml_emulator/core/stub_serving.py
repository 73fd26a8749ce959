"""A stand-in for `python -m local.serving --model-dir DIR --port N`: same arguments and answers, no model.

It obeys a file in the model's folder, when there is one:
    crash.txt    its text is written to stderr, then the process ends with exit code 3
    seconds.txt  how long it takes until it listens
    until.txt    the file that has to be there before it listens
    usage.txt    how many tokens each prompt is said to have
    broken.txt   a request whose parameters hold {"real": true} is answered with 500: it passes every test
POST /score answers {"output": <the text of DIR/answer.txt>}; a body that is not JSON is 400;
a body with {"sleep": S} answers after S seconds, one with {"until": FILE} when that file is there; one with
{"die": true} ends the process.
"""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(BaseHTTPRequestHandler):
    answer = ""
    folder = Path()

    def do_GET(self) -> None:
        self._send(200, b"Healthy")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            asked = json.loads(raw)
        except ValueError:
            self._send(400, b"the body is not JSON")
            return
        if asked.get("die"):
            os._exit(7)
        time.sleep(asked.get("sleep", 0))
        wait_for(asked.get("until"))
        print(f"scored {len(raw)} bytes", flush=True)
        if (self.folder / "broken.txt").exists() and asked.get("input_data", {}).get("parameters", {}).get("real"):
            self._send(500, b"broken")
            return
        answer: dict[str, Any] = {
            "output": self.answer,
            "env": os.environ.get("STUB_SETTING"),
            "tmpdir": os.environ.get("TMPDIR"),
        }
        usage = self.folder / "usage.txt"
        if usage.exists():
            answer["usage"] = {"prompt_tokens": int(usage.read_text())}
        self._send(200, json.dumps(answer).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-ms-run-function-failed", str(status != 200))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def wait_for(file: str | None) -> None:
    while file is not None and not Path(file).exists():
        time.sleep(0.05)


def main() -> None:
    assert sys.argv[1:3] == ["-m", "local.serving"], sys.argv
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args(sys.argv[3:])
    crash = args.model_dir / "crash.txt"
    if crash.exists():
        print("loading the model", file=sys.stderr)
        print(crash.read_text(), file=sys.stderr)
        sys.exit(3)
    seconds = args.model_dir / "seconds.txt"
    time.sleep(float(seconds.read_text()) if seconds.exists() else 0)
    until = args.model_dir / "until.txt"
    wait_for(until.read_text() if until.exists() else None)
    Handler.folder = args.model_dir
    Handler.answer = (args.model_dir / "answer.txt").read_text()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
