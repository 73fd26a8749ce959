"""A dataset on disk: read in blocks, and the outputs put in place only when complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from shared.dataset.errors import DatasetError, DatasetRejectedError
from shared.dataset.inputs import read_blocks
from shared.dataset.options import PrepareOptions
from shared.dataset.prepare import prepare
from shared.dataset.report import Progress, Report
from shared.dataset.samples import Samples

TRAIN, TEST, REPORT, PAGE, REPAIRED = "train.jsonl", "test.jsonl", "report.json", "report.html", "repaired.jsonl"
SHOWN_SAMPLES = 3
WHOLE_REPAIRED_BYTES = 64 * 1024 * 1024
COPY_BYTES = 16 * 1024 * 1024
OnProgress = Callable[[Progress], None]
RenderPage = Callable[[Report, Samples], bytes]  # makes report.html


class SourceIsOutputError(DatasetError):
    """The file to read is one of the files to write."""


def prepare_file(
    path: Path,
    out: Path,
    options: PrepareOptions,
    on_progress: OnProgress | None = None,
    *,
    page: RenderPage,
    test_path: Path | None = None,
) -> Report:
    """Prepare a file into `out`: train.jsonl, test.jsonl and the reports; only the reports when it is rejected.

    Where a mend is mechanical, repaired.jsonl is written too, to be looked at and prepared again: the rows that were
    left out as they would be mended, and then all that were kept; these only as far as a person may want to look
    through them, up to WHOLE_REPAIRED_BYTES.

    Files appear under their names when all are complete, report.json last; those of an earlier preparation go first.
    test_path: a test file of the user's own. page: renders report.html.
    Raises: DatasetRejectedError: the dataset cannot be used; the reports are written.
    OSError: a file cannot be read or written. SourceIsOutputError: `path` is one of the outputs.
    """
    with ExitStack() as stack:
        source = stack.enter_context(path.open("rb", buffering=0))
        test_source = stack.enter_context(test_path.open("rb", buffering=0)) if test_path else None
        for given, its_path in ((source, path), (test_source, test_path)):
            if given is not None and its_path is not None:
                _check_not_an_output(given, its_path, out)
        out.mkdir(parents=True, exist_ok=True)
        outputs = {name: stack.enter_context(Replacement(out / name)) for name in (TRAIN, TEST, REPAIRED, PAGE, REPORT)}
        samples = Samples(SHOWN_SAMPLES)
        rejected: DatasetRejectedError | None = None
        try:
            report = prepare(
                read_blocks(source),
                train=outputs[TRAIN],
                test=outputs[TEST],
                options=options,
                name=path.name,
                test_source=None if test_source is None else read_blocks(test_source),
                test_name=test_path.name if test_path else "",
                samples=samples,
                mended=outputs[REPAIRED],
                on_progress=on_progress,
            )
        except DatasetRejectedError as error:
            rejected, report = error, error.report
        if report.is_mendable and outputs[TRAIN].size + outputs[TEST].size <= WHOLE_REPAIRED_BYTES:
            for name in (TRAIN, TEST):
                outputs[REPAIRED].append(outputs[name])
        outputs[REPORT].write(report.to_json())
        outputs[PAGE].write(page(report, samples))
        for output in reversed(outputs.values()):
            output.path.unlink(missing_ok=True)
        wanted = (
            ([] if rejected else [TRAIN, TEST])
            + ([REPAIRED] if report.is_mendable and outputs[REPAIRED].size else [])
            + [PAGE, REPORT]
        )
        for name in wanted:
            outputs[name].commit()
    if rejected:
        raise rejected
    return report


def _check_not_an_output(source: IO[bytes], path: Path, out: Path) -> None:
    status = os.fstat(source.fileno())
    for output in (out / name for name in (TRAIN, TEST, REPORT, PAGE, REPAIRED)):
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

    def append(self, other: Replacement) -> None:
        """Write all that another one holds so far."""
        with other._partial.open("rb", buffering=0) as source:
            try:
                while os.copy_file_range(source.fileno(), self._file.fileno(), COPY_BYTES):
                    pass
            except (AttributeError, OSError):  # not on this system, or not between these file systems
                shutil.copyfileobj(source, self._file, COPY_BYTES)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def commit(self) -> None:
        """Make the file visible under its name, readable as any new file is."""
        umask = os.umask(0)
        os.umask(umask)
        self._partial.chmod(0o666 & ~umask)
        self._file.close()
        self._partial.replace(self.path)
