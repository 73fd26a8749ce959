"""A function in a process of its own: what it sends arrives, and however it ends, the parent goes on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from shared.dataset import isolated

MEMORY = 512 * 1024 * 1024
HERE = "tests.unit.dataset.isolated_functions"


def call(name, arguments=None, *, memory_bytes=MEMORY, silence_s=30.0, **options):
    function = f"{HERE}:{name}"
    return isolated.call(function, arguments or {}, memory_bytes=memory_bytes, silence_s=silence_s, **options)


def gone(pid):
    """True once there is no such process, not even a dead one that waits to be collected."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def dead(pid):
    """True once it ended; an orphan is collected by the system, whenever it does that."""
    for _ in range(500):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_arguments_go_in_and_frames_come_out():
    assert list(call("echo", {"name": "café", "n": [1, None]})) == [("echo", b'{"name": "caf\\u00e9", "n": [1, null]}')]


def test_frames_keep_their_order_and_their_number():
    frames = list(call("numbers", {"count": 5000}))

    assert [int(data) for _, data in frames] == list(range(5000))
    assert {kind for kind, _ in frames} == {"number"}


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_576, 5_000_001])
def test_large_frames_arrive_whole(size):
    assert [data for _, data in call("blocks", {"size": size, "count": 4})] == [bytes([n]) * size for n in range(4)]


def test_a_function_that_emits_nothing_ends_the_iteration():
    assert list(call("numbers", {"count": 0})) == []


def test_what_the_function_prints_does_not_get_among_the_frames_or_block_it():
    assert list(call("chatter")) == [("done", b"")]


def test_the_child_knows_no_secrets_of_the_environment_and_leaves_no_core_file(monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hush")

    frames = dict(call("surroundings"))

    environment = json.loads(frames["environment"])
    assert "AZURE_CLIENT_SECRET" not in environment
    assert environment["MALLOC_ARENA_MAX"] == "1"
    assert frames["core"] == b"0"


def test_an_exception_arrives_as_its_class_name_without_its_text():
    frames = call("fail")
    assert next(frames) == ("before", b"")

    with pytest.raises(isolated.IsolatedError) as caught:
        next(frames)

    assert type(caught.value) is isolated.IsolatedError
    assert caught.value.failure == "KeyError"
    assert str(caught.value) == f"{HERE}:fail raised KeyError in its process"


@pytest.mark.parametrize(
    ("function", "failure"), [("no.such.module:f", "ModuleNotFoundError"), (f"{HERE}:nothing", "AttributeError")]
)
def test_a_function_that_does_not_exist_is_an_error(function, failure):
    with pytest.raises(isolated.IsolatedError) as caught:
        list(isolated.call(function, {}, memory_bytes=MEMORY, silence_s=30))

    assert caught.value.failure == failure


@pytest.mark.parametrize("name", ["hoard", "hoard_in_cpp", "hoard_in_rust"])
def test_memory_beyond_the_limit_is_a_memory_error(name):
    with pytest.raises(isolated.IsolatedMemoryError):
        list(call(name, memory_bytes=128 * 1024 * 1024))


@pytest.mark.parametrize(
    ("name", "failure"),
    [("abort", "SIGABRT"), ("segfault", "SIGSEGV"), ("kill_itself", "SIGKILL"), ("leave", "exit code 7")],
)
def test_a_death_is_a_crash_error_that_names_it(name, failure):
    with pytest.raises(isolated.IsolatedCrashError, match=failure) as caught:
        list(call(name))

    assert caught.value.failure == failure


def test_nonsense_among_the_frames_is_a_crash_error():
    with pytest.raises(isolated.IsolatedCrashError):
        list(call("nonsense"))


@pytest.mark.parametrize("kind", ["", "café"])
def test_a_frame_needs_a_plain_kind(kind):
    with pytest.raises(isolated.IsolatedError) as caught:
        list(call("bad_frame", {"kind": kind}))

    assert caught.value.failure in ("ValueError", "UnicodeEncodeError")


def test_silence_beyond_the_limit_is_an_error_and_the_child_is_killed():
    frames = call("sleep", silence_s=3)
    pid = int(next(frames)[1])

    with pytest.raises(isolated.IsolatedSilentError, match=r"sent nothing for 3 s"):
        next(frames)

    assert gone(pid)


def test_a_slow_consumer_is_not_taken_for_silence():
    frames = call("blocks", {"size": 1_000_000, "count": 8}, silence_s=3)
    next(frames)
    time.sleep(3.2)  # the child is full of frames, and waits

    assert len(list(frames)) == 7


def test_closing_the_iterator_kills_the_child():
    frames = call("sleep")
    pid = int(next(frames)[1])

    frames.close()

    assert gone(pid)


def test_a_consumer_that_raises_leaves_no_child():
    pids = []
    with pytest.raises(ZeroDivisionError):
        for _, data in call("sleep"):
            pids.append(int(data))
            raise ZeroDivisionError

    assert gone(pids[0])


def test_the_child_dies_with_its_parent():
    frames = call("call_and_wait")
    child_of_child = int(next(frames)[1])

    frames.close()  # SIGKILL: the parent cannot say good-bye

    assert dead(child_of_child)
