"""Which rows are kept, and which of them are held out for testing: by hash of the prompt, never by position."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from typing import IO, Protocol

# Larger ones make the allocator give memory back and ask for it again: four times the page faults, 8 % of the CPU.
FLUSH_BYTES = 256 * 1024
_SPOOL_BYTES = 4 * 1024 * 1024


class Writer(Protocol):
    """Takes the rows of one output. Whoever made it commits it after success; until then nothing is visible."""

    def write(self, data: bytes | bytearray, /) -> object:
        """Take whole rows, each with its newline; the data is the writer's to keep."""


class Output:
    """Gathers rows into larger writes; counts and hashes them."""

    def __init__(self, writer: Writer, *, hashed: bool) -> None:
        self._writer = writer
        self._rows: list[bytes] = []
        self._size = 0
        self._hash = hashlib.sha256() if hashed else None
        self.rows = 0

    def add(self, row: bytes) -> None:
        """Take one row without its newline."""
        self.rows += 1
        self._rows.append(row)
        self._size += len(row)
        if self._size >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Pass on what was gathered."""
        if not self._rows:
            return
        self._rows.append(b"")
        data = b"\n".join(self._rows)
        self._rows = []
        self._size = 0
        if self._hash:
            self._hash.update(data)
        self._writer.write(data)

    def sha256(self) -> str:
        """Hash of all that was passed on."""
        return self._hash.hexdigest() if self._hash else ""


class _Held:
    """The rows of one prompt whose side is not decided yet; on disk when they are many."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115

    def add(self, row: bytes) -> None:
        self._file.write(row + b"\n")

    def close(self) -> None:
        self._file.close()

    def rows(self) -> Iterator[bytes]:
        self._file.seek(0)
        with self._file:
            for row in self._file:
                yield row[:-1]


class Split:
    """Divides rows between train and test by a digest of their prompt.

    A prompt whose digest lies below test_fraction of the range goes to test, every other one to train: the same in any
    order, and still the same when rows are added. Where that leaves one side empty (small datasets), the prompt nearest
    to the limit changes sides: the one with the lowest digest goes to test, or the one with the highest to train. To
    know it at the end of a stream, the rows of the nearest prompt are held back until both sides have one.
    """

    def __init__(self, train: Writer, test: Writer, test_fraction: float) -> None:
        self.train = Output(train, hashed=False)
        self.test = Output(test, hashed=True)
        self._limit = share(test_fraction)
        self._settled = test_fraction == 0
        self._held: _Held | None = None
        self._held_for_test = False

    def add(self, digest: bytes, row: bytes) -> None:
        """Write a row to its side, or hold it back."""
        is_test = digest < self._limit
        if self._settled:
            (self.test if is_test else self.train).add(row)
        else:
            self._add_unsettled(digest, row, is_test)

    def _add_unsettled(self, digest: bytes, row: bytes, is_test: bool) -> None:
        held = self._held
        if held is not None and self._held_for_test != is_test:
            self._release(self._held_for_test)
            self._settled = True
            (self.test if is_test else self.train).add(row)
        elif held is not None and digest == held.digest:
            held.add(row)
        elif held is None or (digest > held.digest) == is_test:
            self._release(is_test)
            self._held = _Held(digest)
            self._held_for_test = is_test
            self._held.add(row)
        else:
            (self.test if is_test else self.train).add(row)

    def _release(self, to_test: bool) -> None:
        if self._held is None:
            return
        output = self.test if to_test else self.train
        for row in self._held.rows():
            output.add(row)
        self._held = None

    def finish(self) -> bool:
        """Decide what was held back and pass everything on.

        Returns: whether both sides have a row (or no test set was asked for). False means: there is only one prompt.
        """
        if self._held is not None:
            only_prompt = not (self.train.rows or self.test.rows)
            self._release(self._held_for_test if only_prompt else not self._held_for_test)
        self.train.flush()
        self.test.flush()
        return bool(self.train.rows and (self.test.rows or not self._limit))

    def close(self) -> None:
        """Let go of rows still held back, for whoever stops before the end."""
        if self._held is not None:
            self._held.close()
            self._held = None


class GivenSides:
    """The sides of a dataset that comes with a test file of its own: each file's rows go to one side."""

    def __init__(self, train: Writer, test: Writer) -> None:
        self.train = Output(train, hashed=False)
        self.test = Output(test, hashed=True)
        self.reads_test = True

    def add(self, _: bytes, row: bytes) -> None:
        """Write a row to the side of the file that is being read."""
        (self.test if self.reads_test else self.train).add(row)

    def finish(self) -> bool:
        """Pass everything on. Returns: whether both sides have a row."""
        self.train.flush()
        self.test.flush()
        return bool(self.train.rows and self.test.rows)

    def close(self) -> None:
        """Nothing is held back here."""


def share(fraction: float) -> bytes:
    """The digest below which `fraction` (at most 1) of all digests lie; empty for none."""
    return min(int(fraction * 2**64), 2**64 - 1).to_bytes(8, "big") if fraction else b""
