import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from local.eventgrid import store as store_module
from local.eventgrid.store import FullError, Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def test_pending_deliveries_survive_a_restart(tmp_path):
    first = Store(tmp_path / "store.sqlite")
    first.add([("s", {"id": "1"}, 0)], NOON)
    first.close()
    second = Store(tmp_path / "store.sqlite")
    (delivery,) = second.due("s", NOON, 10)
    second.close()
    assert (delivery.event, delivery.published) == ({"id": "1"}, NOON)


def test_a_postponed_delivery_is_due_later_with_its_story(store):
    store.add([("s", {"id": "1"}, 0)], NOON)
    (delivery,) = store.due("s", NOON, 10)
    tried = dataclasses.replace(delivery, attempts=1, last_attempt=NOON, last_outcome="Busy", last_status=503)
    store.postpone(tried, NOON + timedelta(seconds=30))
    assert store.due("s", NOON, 10) == []
    assert store.due("s", NOON + timedelta(seconds=30), 10) == [tried]


def test_what_is_under_way_is_not_given_out_again(store):
    store.add([("s", {"id": "1"}, 0), ("s", {"id": "2"}, 0), ("other", {"id": "3"}, 0)], NOON)
    first, second = store.due("s", NOON, 10)
    assert store.due("s", NOON, 1, (first.id,)) == [second]


def test_blobs_and_their_events_are_kept_together_or_not_at_all(store):
    with pytest.raises(TypeError):
        store.see("c", {"a": "1"}, [("s", {"id": object()}, 0)], NOON)
    assert store.seen("c") == {}
    store.see("c", {"a": "1", "b": "1"}, [("s", {"id": "1"}, 0)], NOON)
    store.see("c", {"a": "2", "b": None}, [], NOON)
    assert store.seen("c") == {"a": "2"}
    assert store.pending() == {"s": 1}


def test_a_subscriber_that_never_comes_does_not_fill_the_disk(store):
    limit = store_module.MAX_PENDING
    store.add((("s", {}, 0) for _ in range(limit)), NOON)
    with pytest.raises(FullError):
        store.add([("s", {}, 0)], NOON)
    assert store.pending() == {"s": limit}
