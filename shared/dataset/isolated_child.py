"""The child's side of isolated.py: do the one thing that is asked for, send its frames, end."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import signal
import struct
import threading

from shared.dataset.isolated import FAILED, HEADER, MAX_FRAME_BYTES, RAN_OUT_OF_MEMORY, write_all

_WATCH_STACK = 256 * 1024


def run() -> None:
    """Do what the request on stdin asks for. Ends the process."""
    frames = os.dup(1)
    os.dup2(2, 1)  # nothing else may write among the frames

    def emit(kind: str, data: bytes) -> None:
        name = kind.encode("ascii")
        if not name or len(data) > MAX_FRAME_BYTES:
            raise ValueError(f"a frame needs a kind and at most {MAX_FRAME_BYTES:,} bytes")
        write_all(frames, [HEADER.pack(len(name), len(data)) + name, data])

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    end = b""
    try:
        request = json.loads(_request())
        _die_with_parent()
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        _limit(request["memory_bytes"])
        function(request["arguments"], emit)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must know
        end = _failure(error)
    write_all(frames, [HEADER.pack(0, len(end)), end])
    os._exit(0)  # no clean-up of libraries that may be in any state


def _failure(error: BaseException) -> bytes:
    memory = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    return (RAN_OUT_OF_MEMORY if memory else FAILED) + type(error).__name__.encode("ascii", "replace")


def _request() -> bytes:
    (count,) = struct.unpack("<Q", _exactly(8))
    return _exactly(count)


def _exactly(count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            os._exit(1)  # the parent is gone
        data += part
    return bytes(data)


def _die_with_parent() -> None:
    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.stack_size(_WATCH_STACK)  # counts towards the limit
    threading.Thread(target=watch, daemon=True).start()


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: no limit
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold conversations
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force, or the platform only pretends
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
