"""What the tests let a child process do. A child imports it by its name."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Emit = Callable[[str, bytes], None]


def echo(arguments: dict[str, Any], emit: Emit) -> None:
    emit("echo", json.dumps(arguments).encode())


def numbers(arguments: dict[str, Any], emit: Emit) -> None:
    for number in range(arguments["count"]):
        emit("number", str(number).encode())


def blocks(arguments: dict[str, Any], emit: Emit) -> None:
    for number in range(arguments["count"]):
        emit("block", bytes([number % 256]) * arguments["size"])


def chatter(arguments: dict[str, Any], emit: Emit) -> None:
    """Print far more than a pipe holds, to both streams, Python's and the process's."""
    for _ in range(100):
        print("secret conversation " * 1000)
        print("secret conversation " * 1000, file=sys.stderr)
        os.write(1, b"\x01\x02\x03" * 1000)
    sys.stdout.flush()
    emit("done", b"")


def surroundings(arguments: dict[str, Any], emit: Emit) -> None:
    emit("environment", json.dumps(dict(os.environ)).encode())
    emit("core", str(resource.getrlimit(resource.RLIMIT_CORE)[0]).encode())
    emit("pid", str(os.getpid()).encode())


def fail(arguments: dict[str, Any], emit: Emit) -> None:
    emit("before", b"")
    raise KeyError("text of a conversation")


def hoard(arguments: dict[str, Any], emit: Emit) -> None:
    held = []
    while True:
        held.append(bytearray(16 * 1024 * 1024))


def hoard_in_cpp(arguments: dict[str, Any], emit: Emit) -> None:
    """End as C++ does when nobody catches that memory ran out."""
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n")
    os.abort()


def hoard_in_rust(arguments: dict[str, Any], emit: Emit) -> None:
    """End as Rust does when there is no memory."""
    os.write(2, b"memory allocation of 8388608 bytes failed\n")
    os.abort()


def abort(arguments: dict[str, Any], emit: Emit) -> None:
    emit("before", b"")
    os.abort()


def segfault(arguments: dict[str, Any], emit: Emit) -> None:
    ctypes.string_at(0)


def leave(arguments: dict[str, Any], emit: Emit) -> None:
    os._exit(7)


def kill_itself(arguments: dict[str, Any], emit: Emit) -> None:
    os.kill(os.getpid(), 9)


def sleep(arguments: dict[str, Any], emit: Emit) -> None:
    emit("pid", str(os.getpid()).encode())
    time.sleep(60)


def call_and_wait(arguments: dict[str, Any], emit: Emit) -> None:
    """Be a parent that will be killed."""
    from shared.dataset import isolated

    frames = isolated.call(f"{__name__}:sleep", {}, memory_bytes=2**30, silence_s=60)
    emit(*next(frames))
    time.sleep(60)


def nonsense(arguments: dict[str, Any], emit: Emit) -> None:
    """Write into the frames what is none."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b"\xff" * 64)
        except OSError:
            continue


def bad_frame(arguments: dict[str, Any], emit: Emit) -> None:
    emit(arguments["kind"], b"")


def read_parquet(arguments: dict[str, Any], emit: Emit) -> None:
    """Read files to their ends; for each say how many rows there were, or why it is unusable."""
    from shared.dataset.errors import UnusableFileError
    from shared.dataset.parquet import batches

    for path in arguments["paths"]:
        emit("open", path.encode())
        rows = 0
        try:
            limit = arguments["max_unpacked_bytes"]
            for batch in batches(Path(path), max_row_bytes=16 * 2**20, max_unpacked_bytes=limit):
                rows += len(batch)
                emit("progress", b"")
            emit("rows", str(rows).encode())
        except UnusableFileError as error:
            emit("reason", error.reason.encode())
