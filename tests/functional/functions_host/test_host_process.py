"""The host as a process: start, answer over HTTP, drain, refuse."""

import json

import httpx
import pytest

from local.functions_host.keys import load
from tests.functional.functions_host.hosts import until

APP = """
    import os
    import time
    import azure.functions as func

    app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

    def note(name, text):
        with open(os.path.join(os.environ["OUT"], name), "a") as file:
            file.write(text + "\\n")

    @app.route("echo/{id}", methods=["POST"])
    def echo(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.get_body(), status_code=201, headers={"x-url": req.url})

    @app.route("slow")
    def slow(req: func.HttpRequest) -> func.HttpResponse:
        note("slow", "started")
        time.sleep(float(req.params["s"]))
        note("slow", "ended")
        return func.HttpResponse("done")

    @app.event_grid_trigger(arg_name="event")
    def on_event(event: func.EventGridEvent) -> None:
        note("events", event.id)

    @app.timer_trigger(arg_name="t", schedule="%NOT_SET%")
    def broken(t: func.TimerRequest) -> None: ...
"""


def test_it_answers_with_the_functions_that_can_run_and_reports_the_others(host):
    host.write(APP)
    host.start()
    answer = httpx.post(f"{host.url}/api/echo/a%20b", content=b"\xff body")
    assert (answer.status_code, answer.content) == (201, b"\xff body")
    assert answer.headers["x-url"] == f"{host.url}/api/echo/a%20b"
    assert httpx.get(f"{host.url}/admin/functions/broken/status").json() == {
        "errors": ["'%NOT_SET%' does not resolve to a value."]
    }
    assert host.stop() == 0
    assert "echo ok" in host.log()
    assert "The 'broken' function is in error" in host.log()


def test_a_chunked_body_arrives_empty_as_in_the_real_host(host):
    host.write(APP)
    host.start()
    assert httpx.post(f"{host.url}/api/echo/x", content=iter([b"a", b"b"])).content == b""


def test_with_auth_a_function_needs_a_key_of_the_state_directory(host):
    host.write(APP)
    host.start("--auth")
    keys = load(host.state_dir)
    assert httpx.post(f"{host.url}/api/echo/x").status_code == 401
    assert httpx.post(f"{host.url}/api/echo/x?code={keys.default}", content=b"x").status_code == 201
    assert httpx.post(f"{host.url}/api/echo/x", headers={"x-functions-key": keys.master}).status_code == 201


def test_a_stop_waits_for_what_runs(host):
    host.write(APP)
    host.start()
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{host.url}/api/slow?s=1.5", timeout=0.5)
    until(lambda: host.lines("slow"))
    assert host.stop() == 0
    assert host.lines("slow") == ["started", "ended"]


def test_an_event_reaches_its_function(host):
    host.write(APP)
    host.start()
    event = {"id": "7", "topic": "t", "subject": "s", "eventType": "e", "data": {}, "dataVersion": "1"}
    answer = httpx.post(
        host.webhook("EventGrid", "on_event"), content=json.dumps([event]), headers={"aeg-event-type": "Notification"}
    )
    assert answer.status_code == 202
    assert host.lines("events") == ["7"]


def test_an_app_that_the_worker_refuses_does_not_start(host):
    host.write("import azure.functions as func\napp = func.FunctionApp()\n")
    host.start(wait=False)
    assert host.process.wait(60) == 1
    assert "registers no function" in host.log()


def test_a_wrong_host_json_does_not_start(host):
    host.write(APP, {"version": "3.0"})
    host.start(wait=False)
    assert host.process.wait(60) == 1
    assert "'version'" in host.log()
