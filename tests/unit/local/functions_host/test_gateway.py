"""The host without sockets or storage: one request in, one answer out."""

import asyncio
import json

import pytest

from local.functions_host.blob_queue import BlobQueue
from local.functions_host.gateway import Gateway
from local.functions_host.invocation import Engine
from local.functions_host.keys import Keys
from local.functions_host.settings import HostConfig
from local.functions_host.storage import Connections
from local.functions_host.wire import Request

KEYS = Keys("master", "default", {"eventgrid_extension": "eventgrid", "blobs_extension": "blobs"}, {"echo": "own"})
EVENT = {"id": "1", "topic": "t", "subject": "s", "eventType": "e", "data": {}, "dataVersion": "1"}

APP = """
import asyncio
import json
import threading
import time

calls = []
gate = threading.Event()
ticked = threading.Event()

@app.route("echo/{id?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    body = {"method": req.method, "id": dict(req.route_params), "params": dict(req.params)}
    body["body"] = req.get_body().decode()
    body["headers"] = dict(req.headers)
    response = func.HttpResponse(json.dumps(body), status_code=201, mimetype="application/json")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2")
    return response

@app.route("open", auth_level="ANONYMOUS")
async def open_to_all(req: func.HttpRequest) -> str:
    await asyncio.sleep(0)
    return "hello"

@app.route("admins", auth_level="ADMIN")
def only_admins(req: func.HttpRequest) -> str:
    return "hello"

@app.route("sniffed")
def sniffed(req: func.HttpRequest) -> str:
    return '{"status": 418, "headers": {"X-A": "1"}, "body": {"a": 1}}'

@app.route("broken")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    return {"no": "response"}

@app.route("stuck")
def stuck(req: func.HttpRequest) -> str:
    gate.wait(60)
    return "late"

@app.route("slow")
async def slow(req: func.HttpRequest) -> str:
    await asyncio.sleep(60)
    return "never"

@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    if event.subject == "bad":
        raise ValueError("bad event")
    calls.append(event.id)

@app.event_grid_trigger(arg_name="event")
def on_cloud_event(event: func.CloudEvent) -> None:
    calls.append((event.type, event.source))

@app.event_grid_trigger(arg_name="event")
def returns_something(event: func.EventGridEvent):
    return 1

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def tick(timer: func.TimerRequest) -> None:
    ticked.set()
"""


@pytest.fixture
def functions(load):
    return load(APP)


@pytest.fixture
def ask(functions):
    """Return a function that sends one request to a gateway over the app."""
    engine = Engine(timeout_s=2)

    def send(method, url, headers=(), body=b"", needs_keys=False, config=HostConfig()):  # noqa: B008 - frozen
        path, _, query = url.partition("?")
        pairs = tuple(tuple(pair.split("=")) for pair in query.split("&")) if query else ()
        request = Request(method, f"http://localhost{url}", path, pairs, tuple(headers), body)

        async def answer():
            queue = BlobQueue("id", {}, engine, Connections({}), config, {})
            gateway = Gateway("id", functions, config, KEYS, engine, queue, needs_keys)
            return await gateway.answer(request)

        return asyncio.run(answer())

    yield send
    engine.close()


def notify(ask, name, events, **more):
    headers = [("aeg-event-type", "Notification")]
    url = f"/runtime/webhooks/EventGrid?functionName={name}&code=eventgrid"
    return ask("POST", url, headers, json.dumps(events).encode(), **more)


def calls(functions):
    return functions[0].call.__globals__["calls"]


def test_a_request_reaches_its_function_as_the_host_sends_it(ask):
    answer = ask("POST", "/API/Echo/a%20b?x=1&x=2&empty=", [("X-One", "1"), ("x-one", "2")], b"hi")
    assert answer.status == 201
    assert json.loads(answer.body) == {
        "method": "POST",
        "id": {"id": "a b"},
        "params": {"x": "1,2"},
        "body": "hi",
        "headers": {"x-one": "1,2"},
    }
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2"]


@pytest.mark.parametrize(
    ("method", "url"), [("GET", "/api/none"), ("DELETE", "/api/echo"), ("GET", "/echo"), ("GET", "/")]
)
def test_no_match_is_404_also_for_a_wrong_method(ask, method, url):
    assert ask(method, url).status == 404


def test_the_route_prefix_is_host_jsons(ask):
    assert ask("GET", "/open", config=HostConfig(route_prefix="")).body == b"hello"


def test_text_that_looks_like_a_response_is_one(ask):
    answer = ask("GET", "/api/sniffed")
    assert (answer.status, answer.body, dict(answer.headers)["x-a"]) == (418, b'{"a": 1}', "1")


@pytest.mark.parametrize("name", ["broken", "slow"])
def test_a_failure_and_a_timeout_are_500_with_an_empty_body(ask, caplog, name):
    answer = ask("GET", f"/api/{name}")
    assert (answer.status, answer.body) == (500, b"")
    expected = {"broken": 'unsupported type "http" for Python type "dict"', "slow": "Timeout value of 2 s was exceeded"}
    assert expected[name] in caplog.text


KEYS_ASKED = [
    ("/api/open", None, 200),
    ("/api/echo", None, 401),
    ("/api/echo", "wrong", 401),
    ("/api/echo", "default", 201),
    ("/api/echo", "own", 201),
    ("/api/echo", "master", 201),
    ("/api/echo", "eventgrid", 401),
    ("/api/sniffed", "own", 401),
    ("/api/admins", "default", 401),
    ("/api/admins", "master", 200),
    ("/admin/host/ping", None, 200),
    ("/admin/host/status", "default", 401),
    ("/admin/host/status", "master", 200),
]


@pytest.mark.parametrize(("url", "key", "status"), KEYS_ASKED)
def test_with_auth_every_level_needs_its_key(ask, url, key, status):
    headers = [("x-functions-key", key)] if key else []
    assert ask("GET", url, headers, needs_keys=True).status == status
    if key:
        assert ask("GET", f"{url}?code={key}", needs_keys=True).status == status


def test_the_header_wins_over_the_address(ask):
    assert ask("GET", "/api/echo?code=default", [("x-functions-key", "wrong")], needs_keys=True).status == 401


def test_without_auth_http_functions_need_no_key_but_webhooks_do(ask):
    assert ask("GET", "/api/admins").status == 200
    assert ask("POST", "/runtime/webhooks/EventGrid?functionName=on_event").status == 401
    assert ask("POST", "/runtime/webhooks/EventGrid?functionName=on_event&code=blobs").status == 401
    assert ask("POST", "/runtime/webhooks/blobs?functionName=x&code=eventgrid").status == 401


def test_a_notification_calls_once_per_event(ask, functions):
    answer = notify(ask, "on_event", [EVENT, EVENT | {"id": "2"}])
    assert answer.status == 202
    assert sorted(calls(functions)) == ["1", "2"]


def test_one_failed_event_fails_the_notification_with_its_message(ask):
    answer = notify(ask, "on_event", [EVENT, EVENT | {"subject": "bad"}])
    assert (answer.status, answer.body) == (500, b"ValueError: bad event")


def test_a_cloud_event_is_one_object(ask, functions):
    event = {"specversion": "1.0", "id": "1", "source": "here", "type": "t", "data": {}}
    assert notify(ask, "on_cloud_event", event).status == 202
    assert calls(functions) == [("t", "here")]


def test_returning_something_fails_a_function_without_output(ask):
    answer = notify(ask, "returns_something", [EVENT])
    assert answer.status == 500
    assert b"without a $return binding returned a non-None value" in answer.body


def test_the_handshake_returns_the_code(ask):
    body = json.dumps([EVENT | {"data": {"validationCode": "abc"}}]).encode()
    url = "/runtime/webhooks/EventGrid?functionName=on_event&code=eventgrid"
    answer = ask("POST", url, [("aeg-event-type", "SubscriptionValidation")], body)
    assert (answer.status, json.loads(answer.body)) == (200, {"validationResponse": "abc"})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("eventgrid.azure.net", "eventgrid.azure.net"),
        ("x.eventgrid.azure.us", "x.eventgrid.azure.us"),
        ("evil.net", "eventgrid.azure.net"),
    ],
)
def test_the_cloud_events_handshake_names_an_allowed_origin(ask, origin, allowed):
    url = "/runtime/webhooks/EventGrid?functionName=on_event&code=eventgrid"
    answer = ask("OPTIONS", url, [("webhook-request-origin", origin)])
    assert (answer.status, answer.headers) == (200, (("webhook-allowed-origin", allowed),))


def test_webhook_answers_of_the_extension(ask):
    url = "/runtime/webhooks/EventGrid?functionName=on_event&code=eventgrid"
    unknown = notify(ask, "nobody", [EVENT])
    assert (unknown.status, unknown.body) == (404, b"cannot find function: 'nobody'")
    assert ask("POST", url, body=b"[]").status == 400
    assert ask("POST", url, [("aeg-event-type", "Other")]).status == 400
    assert ask("POST", url, [("aeg-event-type", "Unsubscribe")]).status == 202


def test_a_blob_event_that_cannot_be_queued_is_500(ask):
    url = "/runtime/webhooks/blobs?functionName=Host.Functions.x&code=blobs"
    assert ask("POST", url, [("aeg-event-type", "Notification")], json.dumps([EVENT]).encode()).status == 500


def test_admin_runs_a_function_by_hand(ask, functions):
    assert ask("POST", "/admin/functions/tick", body=b'{"input": ""}').status == 202
    assert functions[0].call.__globals__["ticked"].wait(60)


def test_admin_answers(ask):
    assert ask("POST", "/admin/functions/tick").status == 400
    assert ask("POST", "/admin/functions/nobody", body=b"{}").status == 404
    assert ask("GET", "/admin/functions/nobody/status").status == 404
    assert json.loads(ask("GET", "/admin/host/status").body)["state"] == "Running"
    assert len(json.loads(ask("GET", "/admin/functions").body)) == 11
    assert json.loads(ask("GET", "/admin/host/drain/status").body)["state"] == "Disabled"


def test_too_many_requests_are_429_and_a_stuck_function_does_not_hold_up_another_kind(functions):
    async def story():
        engine, config = Engine(), HostConfig(max_outstanding_requests=1)
        queue = BlobQueue("id", {}, engine, Connections({}), config, {})
        gateway = Gateway("id", functions, config, KEYS, engine, queue)
        stuck = asyncio.create_task(gateway.answer(Request("GET", "http://x/api/stuck", "/api/stuck")))
        while not engine.active:
            await asyncio.sleep(0)
        refused = await gateway.answer(Request("GET", "http://x/api/open", "/api/open"))
        await gateway._notify(functions[7], [EVENT])
        functions[0].call.__globals__["gate"].set()
        answered = await stuck
        engine.close()
        return refused.status, answered.body

    assert asyncio.run(story()) == (429, b"late")
    assert calls(functions) == ["1"]
