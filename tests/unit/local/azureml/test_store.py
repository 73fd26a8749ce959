"""The emulator's memory."""

import threading
from pathlib import Path

import pytest

from local.azureml.store import Store


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "folder" / "state.db")
    yield opened
    opened.close()


def test_a_document_comes_back_whole(store: Store) -> None:
    store.put("kind", "key", {"text": "ü", "list": [1, None]})
    assert store.get("kind", "key") == {"text": "ü", "list": [1, None]}
    assert store.get("other", "key") is None


def test_insert_never_replaces(store: Store) -> None:
    assert store.insert("kind", "key", {"n": 1})
    assert not store.insert("kind", "key", {"n": 2})
    assert store.get("kind", "key") == {"n": 1}


def test_update_answers_the_new_document_or_none(store: Store) -> None:
    store.put("kind", "key", {"n": 1})
    assert store.update("kind", "key", lambda doc: {"n": doc["n"] + 1}) == {"n": 2}
    assert store.update("kind", "missing", lambda doc: doc) is None


def test_a_failed_update_changes_nothing_and_locks_nothing(store: Store) -> None:
    store.put("kind", "key", {"n": 1})
    with pytest.raises(ZeroDivisionError):
        store.update("kind", "key", lambda doc: {"n": doc["n"] / 0})
    assert store.update("kind", "key", lambda doc: {"n": doc["n"] + 1}) == {"n": 2}


def test_list_is_ordered_and_keeps_to_the_prefix(store: Store) -> None:
    for key in ("b/2", "a/1", "b/10", "b", "c/1"):
        store.put("kind", key, {"key": key})
    assert [key for key, _ in store.list("kind", "b/")] == ["b/10", "b/2"]
    assert [key for key, _ in store.list("kind")] == ["a/1", "b", "b/10", "b/2", "c/1"]


def test_delete_says_whether_there_was_something(store: Store) -> None:
    store.put("kind", "key", {})
    assert store.delete("kind", "key")
    assert not store.delete("kind", "key")


def test_threads_do_not_lose_updates(store: Store) -> None:
    store.put("kind", "counter", {"n": 0})

    def count() -> None:
        for _ in range(50):
            store.update("kind", "counter", lambda doc: {"n": doc["n"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("kind", "counter") == {"n": 200}


def test_what_was_written_is_there_after_a_reopening(tmp_path: Path) -> None:
    first = Store(tmp_path / "state.db")
    first.put("kind", "key", {"n": 1})
    second = Store(tmp_path / "state.db")
    assert second.get("kind", "key") == {"n": 1}
    first.close()
    second.close()


def test_the_number_of_changes_grows_with_every_change_of_its_kind_only(store: Store) -> None:
    seen = [store.changes("kind")]

    def changed() -> bool:
        seen.append(store.changes("kind"))
        return seen[-1] > seen[-2]

    store.put("kind", "key", {"n": 1})
    assert changed()
    store.update("kind", "key", lambda doc: {**doc, "n": 2})
    assert changed()
    store.insert("kind", "other", {})
    assert changed()
    store.delete("kind", "other")
    assert changed()
    store.put("another", "key", {})
    store.insert("kind", "key", {})
    store.delete("kind", "missing")
    store.list("kind")
    assert not changed()
