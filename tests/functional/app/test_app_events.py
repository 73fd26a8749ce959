"""The app's own events are published at least once, whatever happens to topic and workers, and stop no run."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.notifications import Notifier
from shared.runs import actions
from shared.runs.lifecycle import advance, advance_all
from shared.runs.record import Run
from shared.services import wire
from shared.sweeps.by_hand import remove_endpoint
from tests.functional.app.driving import LIFE, App, states
from tests.functional.app.mortal import DiedError
from tests.functional.app.topic import Topic

CHANGED, RETIRED = "FinetuneFunctions.RunStateChanged", "FinetuneFunctions.EndpointRetired"


@pytest.fixture
def topic(app: App) -> Iterator[Topic]:
    topic = Topic(app.cloud.config.tls)
    yield topic
    topic.close()


@pytest.fixture
def telling(app: App, topic: Topic) -> App:
    """The app with that topic."""
    return app.configured(EVENT_TOPIC_ENDPOINT=topic.url)


def told(topic: Topic, run: Run) -> list[str]:
    return [event["data"]["to"] for event in topic.told_of(run.id) if event["type"] == CHANGED]


def ids(topic: Topic, run: Run) -> list[str]:
    return [event["id"] for event in topic.told_of(run.id)]


def test_every_transition_is_told_once_in_order_while_all_goes_well(telling: App, topic: Topic) -> None:
    run = telling.one_live()
    assert told(topic, run) == list(LIFE)
    assert len(set(ids(topic, run))) == len(LIFE)
    assert run.outbox == []
    first: dict[str, Any] = topic.told_of(run.id)[0]
    assert (first["source"], first["subject"]) == ("/finetune-functions", f"runs/{run.id}")
    assert first["data"] == {
        "runId": run.id,
        "project": run.project,
        "dataset": run.dataset.path,
        "from": None,
        "to": "received",
        "reason": "dataset received",
        "endpoint": None,
    }
    assert telling.run(run).id not in advance_all(telling.services, trigger="timer")


def test_the_removal_of_an_endpoint_is_told_too(telling: App, topic: Topic) -> None:
    run = telling.one_live()
    remove_endpoint(telling.services, str(run.endpoint), trigger="http", reason="removed by hand")
    *_, changed, retired = topic.told_of(run.id)
    assert (changed["type"], changed["data"]["to"]) == (CHANGED, "retired")
    assert (retired["type"], retired["subject"]) == (RETIRED, f"endpoints/{run.endpoint}")
    assert (retired["data"]["reason"], retired["data"]["endpoint"]) == ("removed by hand", run.endpoint)
    assert len(set(ids(topic, run))) == len(ids(topic, run))


def test_a_topic_that_is_down_stops_no_run_and_is_told_everything_when_it_is_back(telling: App, topic: Topic) -> None:
    began = telling.clock()
    # By this clock no time passes but what is put forward: "a while" is not over before the run is live.
    services = wire(telling.services.settings, now=lambda: began + telling.clock.offset)
    telling = replace(telling, services=services)
    topic.status = 503
    run = telling.one_live()
    assert topic.calls == 1, "one refusal is enough for a while"
    assert [event.to_state for event in run.outbox] == list(LIFE)
    topic.status = 200
    assert run.id not in advance_all(telling.services, trigger="timer"), "before its time"
    telling.clock.forward(hours=1)
    assert run.id in advance_all(telling.services, trigger="timer")
    assert told(topic, run) == list(LIFE)
    assert telling.run(run).outbox == []
    assert run.id not in advance_all(telling.services, trigger="timer")


def test_what_a_run_that_has_ended_still_has_to_tell_is_told_by_the_timer(telling: App, topic: Topic) -> None:
    topic.status = 503
    run = telling.received(b"")
    assert telling.advance(run).state == "rejected"
    cancelled = telling.received()
    actions.cancel(telling.services, cancelled.id)
    topic.status = 200
    telling.clock.forward(hours=1)
    assert {run.id, cancelled.id} <= set(advance_all(telling.services, trigger="timer"))
    assert told(topic, run) == ["received", "preparing", "rejected"]
    assert told(topic, cancelled) == ["received", "cancelled"]


def test_a_process_that_dies_between_the_save_and_the_publishing_loses_no_event(telling: App, topic: Topic) -> None:
    class Dying(Notifier):
        """The process's life ends where the run's third transition would be told."""

        def publish(self, run: Run) -> None:
            if run.state == "prepared":
                raise DiedError
            super().publish(run)

    run = telling.received()
    dying = replace(telling.services, notifier=Dying(topic.url, telling.clock))
    with pytest.raises(DiedError):
        advance(dying, run.id, trigger="test")
    assert told(topic, run) == ["received", "preparing"]
    assert states(telling.run(run)) == ["received", "preparing", "prepared"]
    telling.clock.forward(minutes=1)
    advance_all(telling.services, trigger="timer")
    assert list(dict.fromkeys(told(topic, run))) == ["received", "preparing", "prepared", "training"]
    by_id = {event["id"]: event for event in topic.told_of(run.id)}
    assert len(by_id) == 4, "told twice, an event has the same id"
    actions.cancel(telling.services, run.id)


def test_without_a_topic_nothing_is_kept(app: App) -> None:
    run = app.advance(app.received(b""))
    assert (run.state, app.run(run).outbox) == ("rejected", [])


def test_a_topic_that_is_away_slows_other_runs_down_no_further(app: App) -> None:
    away = app.configured(EVENT_TOPIC_ENDPOINT="https://127.0.0.1:9/api/events")
    runs = [away.received(b"") for _ in range(3)]
    assert [away.advance(run).state for run in runs] == ["rejected"] * 3
    kept = [away.run(run) for run in runs]
    assert all(len(run.outbox) == 3 for run in kept)
    assert [run.publish_attempts for run in kept] == [1, 0, 0], "only the first has tried"
    assert all(run.publish_at is not None for run in kept)


def test_news_that_nobody_has_taken_for_a_week_is_given_up(app: App) -> None:
    away = app.configured(EVENT_TOPIC_ENDPOINT="https://127.0.0.1:9/api/events")
    run = away.advance(away.received(b""))
    assert len(run.outbox) == 3
    away.clock.forward(days=8)
    advance_all(away.services, trigger="timer")
    assert away.run(run).outbox == []
    assert run.id not in advance_all(away.services, trigger="timer")


def test_a_new_process_publishes_what_an_old_one_has_left(telling: App, topic: Topic) -> None:
    topic.status = 500
    run = telling.advance(telling.received(b""))
    topic.status = 200
    telling.clock.forward(hours=1)
    advance_all(wire(telling.services.settings, now=telling.clock), trigger="timer")
    assert told(topic, run) == ["received", "preparing", "rejected"]
