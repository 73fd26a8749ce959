"""Telemetry goes where the environment says: the SDK's real exporters, in their own processes, against a listener."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROOT = Path(__file__).resolve().parents[3]
KEY = "00000000-0000-0000-0000-00000000abcd"
# What a call does, and the end of a process that is given the time to say its last.
CALL = """
import logging, sys
logging.getLogger().setLevel(logging.INFO)
from shared import telemetry
is_on = telemetry.set_up()
assert telemetry.set_up() is is_on
call = telemetry.of_call("blob", "d-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
with call, telemetry.about(run_id="bot-1", project="bot"), telemetry.span("step", state="x"):
    logging.getLogger("shared.runs").info("run %s: received -> preparing", "bot-1")
    telemetry.sweep_done(trigger="timer", outcome="ok", orphans=2)
"""
END = """
from opentelemetry import trace, metrics
from opentelemetry.instrumentation.logging.handler import LoggingHandler
trace.get_tracer_provider().shutdown()
metrics.get_meter_provider().shutdown()
for handler in logging.getLogger("shared").handlers:
    if isinstance(handler, LoggingHandler):
        handler._logger_provider.shutdown()
print("IDS", sorted(name for name in sys.modules if name.startswith("azure.monitor")) != [])
"""
IDS = {"finetune.run_id": "bot-1", "finetune.project": "bot", "finetune.trigger": "blob", "finetune.delivery_id": "d-1"}

# The exporter reports on itself to Microsoft's own addresses, and asks one how to behave: no test may call them.
QUIET = dict.fromkeys(
    (
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL",
        "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED",
    ),
    "true",
)


class Listener:
    """Takes what is posted to it, as an ingestion endpoint or a collector does."""

    def __init__(self, status: int = 200) -> None:
        self.posts: list[tuple[str, bytes]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                listener.posts.append((self.path, body))
                items = body.count(b"iKey")
                answer = json.dumps({"itemsReceived": items, "itemsAccepted": items, "errors": []}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def envelopes(self, kind: str) -> list[dict[str, Any]]:
        """Application Insights' items of a kind: MessageData, RemoteDependencyData, MetricData."""
        return [item["data"]["baseData"] for item in self.items() if item["data"]["baseType"] == kind]

    def items(self) -> list[dict[str, Any]]:
        bodies = [body for path, body in self.posts if path.endswith("/track")]
        return [item for body in bodies for item in json.loads(body)]


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.stop()


def run(code: str, **variables: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    environment |= {**QUIET, "NO_PROXY": "127.0.0.1"}
    # What an exporter could not send it keeps in the folder for temporary files, and the next one sends it as its own.
    with tempfile.TemporaryDirectory() as kept:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**environment, "TMPDIR": kept, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def connection(url: str) -> str:
    return f"InstrumentationKey={KEY};IngestionEndpoint={url}/"


def test_without_a_variable_no_sdk_is_loaded_and_everything_works() -> None:
    printed = run(CALL + "print(is_on, [n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'azure'))])")
    assert printed == "False []\n"


def test_application_insights_gets_spans_lines_and_metrics_with_their_ids(listener: Listener) -> None:
    run(CALL + END, APPLICATIONINSIGHTS_CONNECTION_STRING=connection(listener.url), WEBSITE_SITE_NAME="func-bot")
    (line,) = listener.envelopes("MessageData")
    assert line["message"] == "run bot-1: received -> preparing"
    assert line["properties"].items() >= IDS.items()
    (span,) = listener.envelopes("RemoteDependencyData")
    tags = [item["tags"] for item in listener.items() if item["data"]["baseType"] != "MetricData"]
    assert {tag["ai.operation.id"] for tag in tags} == {"0af7651916cd43dd8448eb211c80319c"}
    assert (span["name"], span["success"]) == ("step", True)
    assert span["properties"] == IDS | {"state": "x"}
    metrics = {item["metrics"][0]["name"]: item for item in listener.envelopes("MetricData")}
    assert metrics["finetune.sweeps"]["metrics"][0]["value"] == 1
    assert metrics["finetune.sweeps"]["properties"] == {"trigger": "timer", "outcome": "ok", "dry_run": "False"}
    assert metrics["finetune.orphan_endpoints"]["metrics"][0]["value"] == 2
    assert (
        b'"ai.cloud.role": "func-bot"' in listener.posts[0][1] or b'"ai.cloud.role":"func-bot"' in listener.posts[0][1]
    )


def test_a_collector_gets_the_same(listener: Listener) -> None:
    printed = run(CALL + END, OTEL_EXPORTER_OTLP_ENDPOINT=listener.url)
    assert "IDS False" in printed
    bodies = dict(listener.posts)
    assert sorted(bodies) == ["/v1/logs", "/v1/metrics", "/v1/traces"]
    span = ExportTraceServiceRequest.FromString(bodies["/v1/traces"]).resource_spans[0].scope_spans[0].spans[0]
    assert {one.key: one.value.string_value for one in span.attributes} == IDS | {"state": "x"}
    line = ExportLogsServiceRequest.FromString(bodies["/v1/logs"]).resource_logs[0].scope_logs[0].log_records[0]
    assert {one.key: one.value.string_value for one in line.attributes} == IDS
    assert (line.trace_id, line.span_id) == (span.trace_id, span.span_id)
    scope = ExportMetricsServiceRequest.FromString(bodies["/v1/metrics"]).resource_metrics[0].scope_metrics[0]
    assert {metric.name for metric in scope.metrics} == {"finetune.sweeps", "finetune.orphan_endpoints"}


def test_a_line_that_application_insights_gets_is_not_given_to_the_host_as_well(listener: Listener) -> None:
    code = "import logging; logging.basicConfig(format='HOST %(message)s')\n" + CALL
    azure = {"APPLICATIONINSIGHTS_CONNECTION_STRING": connection(listener.url)}
    assert "HOST run bot-1" not in run(code + END, **azure)
    assert "HOST run bot-1" in run(code + END, **azure, OTEL_LOGS_EXPORTER="none")
    assert "HOST run bot-1" in run(code + END, OTEL_EXPORTER_OTLP_ENDPOINT=listener.url)
    assert "HOST run bot-1" in run(code)


def test_the_console_shows_what_is_asked_for_and_no_more() -> None:
    printed = run(CALL + END, OTEL_TRACES_EXPORTER="console")
    assert '"finetune.run_id": "bot-1"' in printed
    assert "received -> preparing" not in printed


def test_a_signal_can_be_switched_off(listener: Listener) -> None:
    variables = {"OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    run(CALL + END, APPLICATIONINSIGHTS_CONNECTION_STRING=connection(listener.url), **variables)
    assert listener.envelopes("RemoteDependencyData") != []
    assert listener.envelopes("MessageData") == []
    assert b"finetune.sweeps" not in b"".join(body for _, body in listener.posts)


def test_a_malformed_connection_string_stops_nothing_and_is_not_quoted() -> None:
    code = "import logging; logging.basicConfig()\n" + CALL + "print(is_on)"
    printed = run(code, APPLICATIONINSIGHTS_CONNECTION_STRING="InstrumentationKey=s3cret-not-a-key")
    assert "False" in printed
    assert "telemetry is off: its set-up failed with ValueError" in printed
    assert "s3cret" not in printed


def test_a_worker_that_has_set_telemetry_up_is_not_joined(listener: Listener) -> None:
    before = "from azure.monitor.opentelemetry import configure_azure_monitor; configure_azure_monitor()\n"
    code = before + CALL + "print(is_on)" + END
    # By default it takes five spans a second, counted from when it was set up: the first may come too soon.
    azure = {"APPLICATIONINSIGHTS_CONNECTION_STRING": connection(listener.url), "OTEL_TRACES_SAMPLER": "always_on"}
    assert "False" in run(code, **azure)
    assert len(listener.envelopes("RemoteDependencyData")) == 1


def test_an_address_that_refuses_makes_no_lines_about_itself() -> None:
    refusing = Listener(status=400)
    try:
        run(CALL + END, APPLICATIONINSIGHTS_CONNECTION_STRING=connection(refusing.url))
        assert {line["message"] for line in refusing.envelopes("MessageData")} == {"run bot-1: received -> preparing"}
    finally:
        refusing.stop()
