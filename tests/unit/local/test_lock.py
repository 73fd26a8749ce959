"""Who runs with a state directory: whoever holds the lock, whatever the file says."""

import os
from pathlib import Path

import pytest

from local import lock


def test_the_holder_is_known_while_it_holds(tmp_path: Path) -> None:
    assert lock.holder(tmp_path / "state") is None
    with lock.hold(tmp_path / "state"):
        assert lock.holder(tmp_path / "state") == os.getpid()
    assert lock.holder(tmp_path / "state") is None


def test_a_second_holder_is_refused_and_told_how_to_stop_the_first(tmp_path: Path) -> None:
    with lock.hold(tmp_path):
        with pytest.raises(lock.AlreadyRunningError, match=rf"process {os.getpid()} .*down --state-dir {tmp_path}"):
            lock.hold(tmp_path).__enter__()
        assert lock.holder(tmp_path) == os.getpid()


def test_a_stale_pid_of_a_living_stranger_is_nobody(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_text("1\n")
    assert lock.holder(tmp_path) is None
    with lock.hold(tmp_path):
        assert lock.holder(tmp_path) == os.getpid()


def test_the_lock_goes_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="oops"), lock.hold(tmp_path):
        raise ValueError("oops")
    with lock.hold(tmp_path):
        pass
