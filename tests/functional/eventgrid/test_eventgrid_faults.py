"""Events that are lost, doubled, late or out of order on request, uploads' events too; clocks that go wrong."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.storage.blob import ContainerClient

from local.clock import advance
from local.eventgrid.subscriber import file
from local.faults import changes
from local.watch import line, show
from tests.functional.conftest import free_port
from tests.functional.eventgrid.grids import Grid, Subscriber, until

KEY = {"aeg-sas-key": "any"}
RUN = "Microsoft.MachineLearningServices.RunCompleted"


def event(number: int, kind: str = RUN, **data: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "subject": f"experiments/e/runs/{number}",
        "eventType": kind,
        "eventTime": "2026-11-24T12:00:00.1234567Z",
        "dataVersion": "",
        "data": data,
    }


@pytest.fixture
def hooked(grid: Grid, subscriber: Subscriber, container: ContainerClient) -> Grid:
    jobs = {"name": "jobs", "topic": "workspace", "endpoint": subscriber.url}
    blobs = {"name": "blobs", "topic": "storage", "endpoint": subscriber.url}
    grid.configure(jobs, blobs, watch=(container.container_name,))
    grid.start()
    until(lambda: subscriber.handshakes == 2)
    return grid


def ids(subscriber: Subscriber) -> list[str]:
    return [one["id"] for one in subscriber.events]


def test_a_lost_event_never_comes_and_the_next_one_does(hooked: Grid, subscriber: Subscriber) -> None:
    changes.add(hooked.state_dir, {"events": {"do": "lose", "type": "RunCompleted", "times": 1}})
    hooked.publish("workspace", [event(1, runType="azureml.StepRun"), event(2), event(3)])
    until(lambda: hooked.pending() == 0)  # they are delivered side by side: the last need not come last
    assert sorted(ids(subscriber)) == ["1", "3"]


def test_a_doubled_event_comes_twice_with_one_id(hooked: Grid, subscriber: Subscriber) -> None:
    changes.add(hooked.state_dir, {"events": {"do": "double", "subject": "runs/1$"}})
    hooked.publish("workspace", [event(1), event(2)])
    until(lambda: len(subscriber.received) == 3)
    assert sorted(ids(subscriber)) == ["1", "1", "2"]


def test_a_delayed_event_comes_after_those_that_followed_it(hooked: Grid, subscriber: Subscriber) -> None:
    changes.add(hooked.state_dir, {"events": {"do": "delay", "delay_s": 3600, "times": 1}})
    hooked.publish("workspace", [event(1)])
    hooked.publish("workspace", [event(2)])
    until(lambda: ids(subscriber) == ["2"])
    advance(hooked.state_dir, timedelta(hours=1))
    until(lambda: ids(subscriber) == ["2", "1"])


def test_shuffled_events_all_come_in_the_order_of_the_seed(hooked: Grid, subscriber: Subscriber) -> None:
    changes.add(hooked.state_dir, {"events": {"do": "shuffle", "delay_s": 4, "seed": 1}})
    hooked.publish("workspace", [event(number) for number in range(6)])
    until(lambda: len(subscriber.received) == 6)
    assert sorted(ids(subscriber)) == [str(number) for number in range(6)]
    assert ids(subscriber) != sorted(ids(subscriber))


def test_the_event_of_an_upload_is_lost_and_the_next_upload_has_its_own(
    hooked: Grid, subscriber: Subscriber, container: ContainerClient
) -> None:
    changes.add(hooked.state_dir, {"events": {"do": "lose", "type": "BlobCreated", "times": 1}})
    container.create_container()
    container.upload_blob("a.jsonl", b"{}")
    until(lambda: changes.listing(hooked.state_dir)[0]["used"] == 1)
    container.upload_blob("b.jsonl", b"{}")
    until(lambda: subscriber.received)
    assert [one["subject"].rpartition("/")[2] for one in subscriber.events] == ["b.jsonl"]


def test_event_times_are_ahead_of_now_by_the_skew(hooked: Grid, subscriber: Subscriber) -> None:
    changes.add(hooked.state_dir, {"clock_skew_s": 180})
    hooked.publish("workspace", [event(1)])
    until(lambda: subscriber.received)
    moved = datetime.fromisoformat(subscriber.events[0]["eventTime"])
    assert moved - datetime.fromisoformat(event(1)["eventTime"]) == timedelta(minutes=3)


def test_a_topic_is_down_only_when_it_is_meant(hooked: Grid) -> None:
    changes.add(hooked.state_dir, {"requests": [{"status": 500}]})
    assert hooked.publish("finetune-events", [event(1)], **KEY).status_code == 200
    changes.add(hooked.state_dir, {"requests": [{"plane": "events", "path": "finetune-events", "drop": True}]})
    with pytest.raises(httpx.HTTPError):
        hooked.publish("finetune-events", [event(1)], **KEY)
    assert hooked.publish("workspace", [event(1)]).status_code == 200
    assert "Traceback" not in hooked.log()


def test_the_watching_subscriber_keeps_the_apps_own_events(grid: Grid, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    endpoint = f"https://127.0.0.1:{port}/local/subscriber"
    grid.configure(
        {"name": "watch", "topic": "finetune-events", "endpoint": endpoint, "schema": "CloudEventSchemaV1_0"}
    )
    grid.start(port)
    changes.add(grid.state_dir, {"events": {"do": "double", "times": 1}})
    data = {"from": "training", "to": "trained", "reason": "the job has completed", "endpoint": None}
    told = {"specversion": "1.0", "id": "r-4", "source": "/finetune-functions", "subject": "runs/r", "data": data}
    grid.publish("finetune-events", [{**told, "type": "FinetuneFunctions.RunStateChanged"}], **KEY)
    kept = file(grid.state_dir)
    until(lambda: kept.exists() and kept.read_text().count("\n") == 2)
    show(grid.state_dir, follow=False, as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("RunStateChanged    runs/r  training -> trained; reason: the job has completed")
    assert second == f"{second[:8]}{first[8:]}  (again)"
    show(grid.state_dir, follow=False, as_json=True)
    assert json.loads(capsys.readouterr().out.splitlines()[0])["data"] == data


def test_an_event_without_a_change_is_shown_as_well() -> None:
    event = {
        "id": "1",
        "type": "FinetuneFunctions.EndpointRetired",
        "subject": "endpoints/e",
        "data": {"endpoint": "e"},
    }
    shown = line({"received": "2026-11-24T12:34:56.7+00:00", "event": event}, again=False)
    assert shown == "12:34:56  EndpointRetired    endpoints/e  endpoint: e"
