"""A dataset on disk: read in blocks, and the outputs put in place only when complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from shared.dataset.errors import DatasetError, DatasetRejectedError
from shared.dataset.options import PrepareOptions
from shared.dataset.prepare import prepare
from shared.dataset.report import Progress, Report

READ_BYTES = 1024 * 1024
TRAIN, TEST, REPORT = "train.jsonl", "test.jsonl", "report.json"


class SourceIsOutputError(DatasetError):
    """The file to read is one of the files to write."""


def prepare_file(
    path: Path, out: Path, options: PrepareOptions, on_progress: Callable[[Progress], None] | None = None
) -> Report:
    """Prepare a file into `out`: train.jsonl, test.jsonl and report.json; only report.json when it is rejected.

    Files appear under their names when all are complete, report.json last; those of an earlier preparation go first.
    Raises: DatasetRejectedError: the dataset cannot be used; report.json is written.
    OSError: a file cannot be read or written. SourceIsOutputError: `path` is one of the outputs.
    """
    with path.open("rb", buffering=0) as source:
        _check_not_an_output(source, path, out)
        out.mkdir(parents=True, exist_ok=True)
        with Replacement(out / TRAIN) as train, Replacement(out / TEST) as test, Replacement(out / REPORT) as report:
            try:
                found = prepare(
                    read_blocks(source),
                    train=train,
                    test=test,
                    options=options,
                    name=path.name,
                    on_progress=on_progress,
                )
            except DatasetRejectedError as error:
                report.write(error.report.to_json())
                for replacement in (report, train, test):
                    replacement.path.unlink(missing_ok=True)
                report.commit()
                raise
            report.write(found.to_json())
            report.path.unlink(missing_ok=True)
            for replacement in (train, test, report):
                replacement.commit()
    return found


def read_blocks(source: IO[bytes]) -> Iterator[bytes]:
    """Read a file, a pipe or a terminal to its end."""
    while block := source.read(READ_BYTES):
        yield block


def _check_not_an_output(source: IO[bytes], path: Path, out: Path) -> None:
    status = os.fstat(source.fileno())
    for output in (out / TRAIN, out / TEST, out / REPORT):
        if output.exists() and os.path.samestat(status, output.stat()):
            raise SourceIsOutputError(f"{path} would be overwritten by its own preparation; choose another directory")


class Replacement:
    """A file written under another name in the same directory; takes its own name at commit, else it disappears."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        self._partial = Path(name)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def write(self, data: bytes | bytearray) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def commit(self) -> None:
        """Make the file visible under its name, readable as any new file is."""
        umask = os.umask(0)
        os.umask(umask)
        self._partial.chmod(0o666 & ~umask)
        self._file.close()
        self._partial.replace(self.path)
