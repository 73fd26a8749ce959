"""Which port each local service listens on: the same after a restart, because addresses are recorded in many places."""

import json
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path


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


class PortTakenError(RuntimeError):
    """A port that is wanted belongs to another process."""


def choose(state_dir: Path, base: int | None) -> Ports:
    """Return the ports to use: from `base` on, else those of the last time, else free ones.

    Raises: PortTakenError: a port from `base` on is taken.
    """
    path = state_dir / "ports.json"
    names = [field.name for field in fields(Ports)]
    if base is not None:
        ports = Ports(**{name: base + i for i, name in enumerate(names)})
        taken = [port for port in asdict(ports).values() if not _is_free(port)]
        if taken:
            listed = ", ".join(map(str, taken))
            raise PortTakenError(f"port {listed} is taken; choose another --port-base, or leave it out for free ports")
    else:
        ports = _remembered(path) or Ports(**dict(zip(names, _free(len(names)), strict=True)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(ports)))
    return ports


def _remembered(path: Path) -> Ports | None:
    if not path.exists():
        return None
    ports = Ports(**json.loads(path.read_text()))
    return ports if all(_is_free(port) for port in asdict(ports).values()) else None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free(count: int) -> list[int]:
    """Ask the kernel for free ports, all at once so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
