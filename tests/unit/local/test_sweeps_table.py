"""The tables of `python -m local sweeps`, from what the app answers."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import lock
from local.__main__ import main
from local.sweeps import endpoints, overview

SWEEP: dict[str, Any] = {
    "id": "20261124-181500", "started_at": "2026-11-24T18:15:00+00:00", "finished_at": "2026-11-24T18:15:02.5+00:00",
    "trigger": "timer", "dry_run": False, "complete": True, "looked_at": 3, "idle": 2, "warned": 1, "acted": 1,
    "errors": 0, "usd_per_hour": 11.02, "idle_usd_per_hour": 7.346, "saved_usd": 1322.0,
}  # fmt: skip
ENDPOINT = {
    "name": "bot-1a2b3c4d",
    "action": "warn",
    "code": "idle",
    "reason": "no request for 8 h",
    "usd_per_hour": None,
}
ANSWERS = {
    "/api/sweeps": {"value": [SWEEP]},
    "/api/sweeps/one": {**SWEEP, "endpoints": [ENDPOINT]},
    "/api/sweeps/empty": {**SWEEP, "endpoints": []},
}


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = ANSWERS.get(self.path) if self.headers["x-functions-key"] == "key" else None
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found or {}).encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    with http.server.HTTPServer(("127.0.0.1", 0), App) as server, lock.hold(tmp_path):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        up = {"env": {"FUNCTIONS_KEY": "key"}, "urls": {"api": f"http://127.0.0.1:{server.server_port}/api"}}
        (tmp_path / "up.json").write_text(json.dumps(up))
        yield tmp_path
        server.shutdown()


def test_a_sweep_is_one_line_with_its_counts_and_its_money() -> None:
    assert overview([SWEEP]).splitlines() == [
        "sweep            started (UTC)         took  by     looked at  idle  warned  acted  errors  USD/h  idle USD/h"
        "  saved USD",
        "20261124-181500  2026-11-24 18:15:00  2.5 s  timer          3     2       1      1       0  11.02        7.35"
        "   1,322.00",
    ]


def test_what_is_unknown_is_never_shown_as_nothing_and_what_is_not_done_is_said() -> None:
    unknown = dict.fromkeys(("usd_per_hour", "idle_usd_per_hour", "saved_usd"))
    text = overview([SWEEP | unknown | {"finished_at": None, "complete": False, "dry_run": True}])
    assert text.count("unknown") == 3
    assert text.endswith("dry run, not complete")


def test_an_endpoint_is_one_line_with_its_reason() -> None:
    assert endpoints([ENDPOINT]).splitlines() == [
        "endpoint      action  code    USD/h  reason",
        "bot-1a2b3c4d  warn    idle  unknown  no request for 8 h",
    ]


def test_the_command_prints_the_list_and_one_sweep(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--state-dir", str(state_dir)]
    assert main(["sweeps", *where]) == 0
    assert "20261124-181500" in capsys.readouterr().out
    assert main(["sweeps", "one", *where]) == 0
    assert "bot-1a2b3c4d  warn" in capsys.readouterr().out
    assert main(["sweeps", "empty", *where]) == 0
    assert "met no endpoint" in capsys.readouterr().out


def test_a_sweep_that_there_is_not_is_a_sentence(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweeps", "never", "--state-dir", str(state_dir)]) == 1
    assert "there is no sweep never" in capsys.readouterr().err
