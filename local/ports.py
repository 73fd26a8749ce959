"""Which port each local service listens on: the same after a restart, because addresses are recorded in many places."""

import json
import random
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from local.files import write_atomically

# Below 32768, where Linux begins to hand out ports to outgoing connections: those would take ours between two runs.
_FIRST, _LAST, _TRIES = 20000, 32000, 200
# After kill -9 of the supervisor its children end by themselves, storage within ten seconds or so.
_PATIENCE_S, _PAUSE_S = 20.0, 0.25


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1."""

    blob: int
    queue: int
    table: int
    azureml: int
    identity: int
    eventgrid: int
    functions: int


class KeptPort:
    """A free port for a server that starts later: bound but not listening, so that nobody else is given it until then.

    Whoever sets SO_REUSEADDR may listen on it all the same, also once more after an end. Only Linux has it so;
    elsewhere a port that is bound is taken for everybody, and it is let go at once.
    """

    def __init__(self) -> None:
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self.number: int = self._keeper.getsockname()[1]
        if sys.platform != "linux":
            self.release()

    def release(self) -> None:
        """Give it back; a server that listens goes on."""
        self._keeper.close()


_NAMES = [field.name for field in fields(Ports)]
LOWEST_BASE, HIGHEST_BASE = 1024, 65536 - len(_NAMES)


class PortTakenError(RuntimeError):
    """A port that is wanted belongs to another process."""


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(
    state_dir: Path,
    base: int | None,
    *,
    free: Callable[[int], bool] = is_free,
    sleep: Callable[[float], None] = time.sleep,
) -> Ports:
    """Return the ports to use: from `base` on, else those of the last time, else free ones.

    The ports of the last time are waited for, never replaced: addresses of endpoints are recorded with them.

    Raises: PortTakenError: a port from `base` on is taken, or one of the last time stays taken.
    """
    path = state_dir / "ports.json"
    remembered = _remembered(path)
    ports = _from(base) if base is not None else remembered or _unused(free)
    taken = _taken(ports, free)
    if taken and ports == remembered:
        taken = _wait(ports, free, sleep)
    if taken:
        raise PortTakenError(_complaint(taken, remembered=ports == remembered))
    write_atomically(path, json.dumps(asdict(ports)))
    return ports


def _remembered(path: Path) -> Ports | None:
    try:
        ports = Ports(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return ports if all(isinstance(port, int) for port in asdict(ports).values()) else None


def _unused(free: Callable[[int], bool]) -> Ports:
    for _ in range(_TRIES):
        ports = _from(random.randrange(_FIRST, _LAST))
        if not _taken(ports, free):
            return ports
    raise PortTakenError(f"no {len(_NAMES)} free ports in a row were found from {_FIRST} to {_LAST}; use --port-base")


def _from(base: int) -> Ports:
    return Ports(**{name: base + i for i, name in enumerate(_NAMES)})


def _taken(ports: Ports, free: Callable[[int], bool]) -> list[int]:
    return [port for port in asdict(ports).values() if not free(port)]


def _wait(ports: Ports, free: Callable[[int], bool], sleep: Callable[[float], None]) -> list[int]:
    """Wait until all ports are free; return those that are not when patience ends."""
    print("local: waiting for the ports of the last time to become free", file=sys.stderr)
    for _ in range(round(_PATIENCE_S / _PAUSE_S)):
        sleep(_PAUSE_S)
        if not _taken(ports, free):
            return []
    return _taken(ports, free)


def _complaint(taken: list[int], *, remembered: bool) -> str:
    listed = f"port {', '.join(map(str, taken))} is taken"
    if not remembered:
        return f"{listed}; choose another --port-base, or leave it out"
    return (
        f"{listed} by another process, and endpoints of the last time are recorded with it. End that process, "
        "or choose other ports with --port-base N: what was live then has to be deployed again"
    )
