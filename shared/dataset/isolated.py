"""Run a function in a child process that a hostile file may fill, hang or crash without harm.

A file's author decides how much memory it takes to read it, and native code unpacks it, which may abort when memory
runs out, or worse; and what was taken is rarely given back. The child has a memory limit and no secrets in its
environment, and is gone when the iterator is.

The request goes in through the child's stdin, which stays open: its end tells the child that the parent died. (A signal
on the parent's death would come when the *thread* ends that started the child.) Frames come out through what was its
stdout: lengths, kind, data. Whatever else it prints goes to stderr, is read so that it never blocks, and is shown to
nobody: it may hold text of conversations.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from shared.dataset.errors import DatasetError

Emit = Callable[[str, bytes], None]

MAX_FRAME_BYTES = 64 * 1024 * 1024
_PIPE_BYTES = 1024 * 1024
_STDERR_KEPT = 16 * 1024
HEADER = struct.Struct("<BQ")  # bytes of the kind's name, bytes of the data
_START = "from shared.dataset.isolated_child import run; run()"
END = ""  # the kind of the last frame; its data is empty when the function returned, else says why it did not
RAN_OUT_OF_MEMORY, FAILED = b"M", b"E"
# All the child gets to know of the parent's environment: enough to find its interpreter, libraries and temporary files.
_ENVIRONMENT = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT")
# One thread, one heap: threads would cost memory, not save time on the cores a function has.
_FRUGAL = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}
# How libraries in C++ and in Rust abort when memory runs out, and how Python says it.
_OUT_OF_MEMORY = (b"bad_alloc", b"memory allocation of", b"MemoryError")


class IsolatedError(DatasetError):
    """The function raised something of its own; `failure` is the class name (its text may quote conversations)."""

    def __init__(self, message: str, failure: str) -> None:
        super().__init__(message)
        self.failure = failure


class IsolatedMemoryError(IsolatedError):
    """The function needed more memory than it was given."""


class IsolatedCrashError(IsolatedError):
    """The child died; `failure` is the signal's name or the exit code."""


class IsolatedSilentError(IsolatedError):
    """The child sent nothing for too long, and was killed."""


def call(
    function: str,
    arguments: dict[str, Any],
    *,
    memory_bytes: int,
    silence_s: float,
) -> Iterator[tuple[str, bytes]]:
    """Run `module:function(arguments, emit)` in a child process; yield the (kind, data) it emits, as they come.

    Args: arguments: JSON values. memory_bytes: limit of the child's private memory, interpreter and libraries included
    (where the platform has RLIMIT_DATA). silence_s: how long the child may send nothing while it is waited for.

    The child is killed when the iterator is closed, dropped or raises.
    Raises: IsolatedMemoryError, IsolatedCrashError, IsolatedSilentError; IsolatedError: any other exception.
    """
    request = {"function": function, "arguments": arguments, "memory_bytes": memory_bytes}
    with _Child(function, silence_s) as child:
        child.ask(json.dumps(request).encode())
        while True:
            kind, data = child.frame()
            if kind == END:
                break
            yield kind, data
    if data:
        failure = data[1:].decode("ascii", "replace")
        error = IsolatedMemoryError if data[:1] == RAN_OUT_OF_MEMORY else IsolatedError
        raise error(f"{function} raised {failure} in its process", failure)


class _Child:
    """The parent's side of one child process."""

    def __init__(self, function: str, silence_s: float) -> None:
        self._function = function
        self._silence_s = silence_s
        self._heard = bytearray()

    def __enter__(self) -> _Child:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if hasattr(select, "poll") else subprocess.DEVNULL,
            env=_environment(),
            bufsize=0,
        )
        self._out = _descriptor(self._process.stdout)
        with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only, and within the user's quota
            import fcntl

            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        if hasattr(select, "poll"):
            self._err = _descriptor(self._process.stderr)
            self._poll = select.poll()
            self._poll.register(self._out, select.POLLIN)
            self._poll.register(self._err, select.POLLIN)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def ask(self, request: bytes) -> None:
        """Send the request; a child that is dead already is noticed when its frames are read."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            write_all(self._process.stdin.fileno(), [struct.pack("<Q", len(request)), request])

    def frame(self) -> tuple[str, bytes]:
        """Wait for the next frame. Raises: IsolatedError: there is none."""
        kind_bytes, data_bytes = HEADER.unpack(self._read(HEADER.size))
        if data_bytes > MAX_FRAME_BYTES:
            raise IsolatedCrashError(f"the process of {self._function} wrote nonsense", "oversized frame")
        kind = self._read(kind_bytes).decode("ascii", "replace") if kind_bytes else ""
        return kind, self._read(data_bytes) if data_bytes else b""

    def _read(self, count: int) -> bytes:
        data = self._read_some(count)
        if len(data) == count:
            return data
        parts = [data]
        while count := count - len(parts[-1]):
            parts.append(self._read_some(count))
        return b"".join(parts)

    def _read_some(self, count: int) -> bytes:
        if hasattr(select, "poll"):
            self._wait()
        data = os.read(self._out, count)
        if not data:
            raise self._death()
        return data

    def _wait(self) -> None:
        """Return when there is something to read; read away what the child prints meanwhile."""
        give_up_at = time.monotonic() + self._silence_s
        while True:
            left = give_up_at - time.monotonic()
            ready = dict(self._poll.poll(max(0.0, left) * 1000))
            if self._err in ready:
                self._listen()
            if self._out in ready:
                return
            if left <= 0:
                raise IsolatedSilentError(
                    f"{self._function} sent nothing for {self._silence_s:g} s; its process was stopped", "silent"
                )

    def _listen(self) -> bool:
        data = os.read(self._err, 65536)
        if not data:
            self._poll.unregister(self._err)
        self._heard += data
        del self._heard[:-_STDERR_KEPT]
        return bool(data)

    def _death(self) -> IsolatedError:
        """Why the frames ended too early."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its stdout, but lives on
            return IsolatedCrashError(f"the process of {self._function} fell silent", "closed")
        self._listen_to_the_end()
        failure = _signal_name(-code) if code < 0 else f"exit code {code}"
        if any(words in self._heard for words in _OUT_OF_MEMORY):
            return IsolatedMemoryError(f"{self._function} ran out of memory in its process ({failure})", failure)
        return IsolatedCrashError(f"the process of {self._function} died ({failure})", failure)

    def _listen_to_the_end(self) -> None:
        if hasattr(select, "poll"):
            while any(ready == self._err for ready, _ in self._poll.poll(0)) and self._listen():
                pass


def _environment() -> dict[str, str]:
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    path = os.pathsep.join(os.path.realpath(entry) if entry == "" else entry for entry in sys.path)
    return known | _FRUGAL | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _descriptor(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    return pipe.fileno()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def write_all(descriptor: int, parts: Sequence[bytes | memoryview]) -> None:
    """Write parts in one go where the system can."""
    left = [memoryview(part) for part in parts if part]
    while left:
        written = os.writev(descriptor, left) if hasattr(os, "writev") else os.write(descriptor, left[0])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]
