import inspect
from types import SimpleNamespace

import azure.functions as func

from functions.observed import observed
from functions.responses import answering, json_response
from shared import telemetry
from tests.told import listening


def test_a_call_carries_its_trigger_and_the_hosts_id_of_it() -> None:
    @observed("timer")
    def tick(timer: str) -> dict[str, str]:
        return dict(telemetry.ids())

    assert tick("now", context=SimpleNamespace(invocation_id="i-1")) == {
        "finetune.trigger": "timer",
        "finetune.delivery_id": "i-1",
    }
    assert telemetry.ids() == {}


def test_an_events_own_id_is_the_deliverys() -> None:
    @observed("job-event", delivery_id=lambda event: event.id)
    def told(event: SimpleNamespace) -> str:
        return telemetry.ids()["finetune.delivery_id"]

    assert told(event=SimpleNamespace(id="e-1"), context=SimpleNamespace(invocation_id="i-1")) == "e-1"


def test_the_worker_is_asked_for_the_context_and_finds_the_functions_own_annotations() -> None:
    @answering
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        return json_response(telemetry.ids())

    assert list(inspect.signature(handler).parameters) == ["req", "context"]
    answer = handler(func.HttpRequest(method="GET", url="/api/x", body=b""), context=SimpleNamespace(invocation_id="i"))
    assert answer.get_body() == b'{"finetune.trigger":"http","finetune.delivery_id":"i"}'


def test_the_line_on_a_call_that_failed_carries_its_ids() -> None:
    @answering
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise ValueError("x")

    with listening() as told:
        handler(func.HttpRequest(method="GET", url="/api/x", body=b""), context=SimpleNamespace(invocation_id="i-2"))
    ((line, attributes),) = told.lines()
    assert line == "handler failed"
    assert attributes["finetune.delivery_id"] == "i-2"


def test_what_a_call_tells_belongs_to_the_hosts_trace() -> None:
    @observed("timer")
    def tick(timer: str) -> None:
        with telemetry.span("look"):
            pass

    trace = SimpleNamespace(trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with listening() as told:
        tick("now", context=SimpleNamespace(invocation_id="i", trace_context=trace))
        tick("now", context=SimpleNamespace(invocation_id="i"))
    first, second = told.spans("look")
    assert first.parent is not None
    assert (hex(first.context.trace_id), hex(first.parent.span_id)) == (
        "0xaf7651916cd43dd8448eb211c80319c",
        "0xb7ad6b7169203331",
    )
    assert second.parent is None
