"""The ports of a state directory: chosen once, waited for, never replaced."""

import json
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from local import ports


def nobody_waits(_seconds: float) -> None:
    raise AssertionError("nothing to wait for")


def remember(state_dir: Path, base: int) -> ports.Ports:
    return ports.choose(state_dir, base, free=lambda _port: True, sleep=nobody_waits)


def test_first_ports_lie_below_the_range_of_outgoing_connections(tmp_path: Path) -> None:
    for number in range(50):
        chosen = ports.choose(tmp_path / str(number), None, free=lambda _port: True, sleep=nobody_waits)
        assert all(20000 <= port < 32768 for port in asdict(chosen).values())
        assert len(set(asdict(chosen).values())) == 7


def test_taken_ports_are_passed_over_the_first_time(tmp_path: Path) -> None:
    chosen = ports.choose(tmp_path, None, free=lambda port: port >= 26000, sleep=nobody_waits)
    assert min(asdict(chosen).values()) >= 26000


def test_no_free_ports_at_all_says_so(tmp_path: Path) -> None:
    with pytest.raises(ports.PortTakenError, match="--port-base"):
        ports.choose(tmp_path, None, free=lambda _port: False, sleep=nobody_waits)


def test_ports_are_remembered(tmp_path: Path) -> None:
    first = remember(tmp_path, 21000)
    assert ports.choose(tmp_path, None, free=lambda _port: True, sleep=nobody_waits) == first


def test_remembered_ports_are_waited_for(tmp_path: Path) -> None:
    first = remember(tmp_path, 21000)
    waited: list[float] = []
    chosen = ports.choose(tmp_path, None, free=lambda port: port != first.blob or len(waited) > 5, sleep=waited.append)
    assert chosen == first
    assert len(waited) == 6


@pytest.mark.parametrize("base", [None, 21000])
def test_remembered_ports_that_stay_taken_are_named_and_kept(tmp_path: Path, base: int | None) -> None:
    first = remember(tmp_path, 21000)
    waited: list[float] = []
    with pytest.raises(ports.PortTakenError, match=rf"port {first.table} is taken by .*--port-base"):
        ports.choose(tmp_path, base, free=lambda port: port != first.table, sleep=waited.append)
    assert sum(waited) == pytest.approx(20)
    assert json.loads((tmp_path / "ports.json").read_text()) == asdict(first)


def test_a_taken_port_of_a_new_base_is_an_error_at_once(tmp_path: Path) -> None:
    first = remember(tmp_path, 21000)
    with pytest.raises(ports.PortTakenError, match="port 22001, 22002 is taken; choose another --port-base"):
        ports.choose(tmp_path, 22000, free=lambda port: port not in (22001, 22002), sleep=nobody_waits)
    assert json.loads((tmp_path / "ports.json").read_text()) == asdict(first)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"blob": 1}', json.dumps(dict.fromkeys(ports._NAMES, "x"))])
def test_an_unreadable_file_counts_as_absent(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    chosen = ports.choose(tmp_path, None, free=lambda _port: True, sleep=nobody_waits)
    assert json.loads((tmp_path / "ports.json").read_text()) == asdict(chosen)
    assert [file.name for file in tmp_path.iterdir()] == ["ports.json"]


def test_a_kept_port_is_given_to_nobody_else_and_its_server_may_listen_again_and_again() -> None:
    kept = ports.KeptPort()
    with pytest.raises(OSError, match="Address already in use"), socket.socket() as other:
        other.bind(("127.0.0.1", kept.number))
    for _ in range(2):
        with socket.create_server(("127.0.0.1", kept.number)), socket.create_connection(("127.0.0.1", kept.number)):
            assert not ports.is_free(kept.number)
    assert ports.is_free(kept.number)
    kept.release()
