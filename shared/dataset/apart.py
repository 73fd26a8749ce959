"""Preparation in a process of its own, for files that decide how much memory it takes to read them: Parquet.

A Parquet file's author chooses how much memory its pages take and what they claim to be. A child with a memory limit
bears that: whatever becomes of it, the caller lives, and the memory goes back to the system.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from shared import typed
from shared.dataset.errors import DatasetRejectedError, PrepareOptionsError, UnusableFileError
from shared.dataset.inputs import Input, read_blocks
from shared.dataset.isolated import IsolatedCrashError, IsolatedError, IsolatedMemoryError, call
from shared.dataset.options import MIB, PrepareOptions
from shared.dataset.report import Progress, Report
from shared.dataset.rows import encode_row
from shared.dataset.samples import Samples
from shared.dataset.split import Writer

# What the child may take; with its code, it stays below 200 MB. As much as the files hold comes on top: a table of
# duplicates grows with their rows.
MEMORY_BYTES = 160 * MIB
MOST_ON_TOP = 1024 * MIB
TOKENIZER_BYTES = 512 * MIB  # a vocabulary as a model has it, and the threads that count with it
SILENCE_S = 60.0
Emit = Callable[[str, bytes], None]
OnProgress = Callable[[Progress], None]


def prepare_apart(
    file: Input,
    test_file: Input | None,
    train: Writer,
    test: Writer,
    options: PrepareOptions,
    samples: Samples | None,
    mended: Writer | None,
    on_progress: OnProgress | None,
) -> Report:
    """Prepare what is open, in a child process. See `prepare`.

    The files are put on disk first, unpacked: a Parquet file begins to make sense at its end.
    Raises: UnusableFileError: the child could not read the file. DatasetRejectedError.
    """
    with tempfile.TemporaryDirectory(prefix="dataset-") as folder:
        paths = {}
        for role, each in (("test", test_file), ("train", file)):
            if each is not None:
                paths[role] = str(_spool(each, Path(folder) / role, on_progress))
        arguments: dict[str, Any] = {
            "paths": paths,
            "names": {"train": file.name, "test": test_file.name if test_file else ""},
            "options": msgspec.to_builtins(options),
            "samples": samples.count if samples else 0,
        }
        outputs = {"train": train, "test": test, **({"mended": mended} if mended else {})}
        try:
            report = _receive(arguments, _memory(paths, options), file, outputs, samples, on_progress)
        except IsolatedMemoryError:
            raise UnusableFileError(
                f"reading the Parquet file takes more than {_memory(paths, options) // MIB} MiB of memory; write it "
                "with smaller pages, or as JSON Lines",
                format="parquet",
            ) from None
        except IsolatedError as error:
            raise UnusableFileError(f"the Parquet file cannot be read: {error}", format="parquet") from None
    for found, source in ((report, file), (report.test_file, test_file)):
        if found is not None and source is not None:
            found.compression, found.bytes_read = source.compression, source.bytes_read
    if test_file is not None:
        report.bytes_read += test_file.bytes_read
    if not report.usable:
        raise DatasetRejectedError(report)
    return report


def _memory(paths: dict[str, str], options: PrepareOptions) -> int:
    """Bytes that the child may take."""
    size = sum(Path(path).stat().st_size for path in paths.values())
    return MEMORY_BYTES + min(size, MOST_ON_TOP) + (TOKENIZER_BYTES if options.tokenizer else 0)


def _spool(file: Input, path: Path, on_progress: OnProgress | None) -> Path:
    reported = 0
    with path.open("wb", buffering=0) as spool:
        for block in file.content():
            view = memoryview(block)
            while view:
                view = view[spool.write(view) :]
            if on_progress and file.bytes_read - reported >= 4 * MIB:
                reported = file.bytes_read
                on_progress(Progress(reported, 0))
    return path


def _receive(
    arguments: dict[str, Any],
    memory_bytes: int,
    file: Input,
    outputs: dict[str, Writer],
    samples: Samples | None,
    on_progress: OnProgress | None,
) -> Report:
    report: Report | None = None
    shown = 0
    frames = call(
        "shared.dataset.apart:prepare_here",
        arguments,
        memory_bytes=memory_bytes,
        silence_s=SILENCE_S,
    )
    for kind, data in frames:
        if kind in outputs:
            outputs[kind].write(data)
        elif kind == "progress" and on_progress:
            on_progress(Progress(file.bytes_read, int(data)))
        elif kind == "sample" and samples is not None:
            shown += 1
            samples.offer(shown.to_bytes(16), data)
        elif kind == "options_fault":
            raise PrepareOptionsError(data.decode())
        elif kind == "report":
            report = Report.from_json(data)
    if report is None:
        raise IsolatedCrashError("its reader ended without a report", "")
    return report


class _FrameWriter:
    """Takes the rows of one output, and sends them to the parent."""

    def __init__(self, emit: Emit, kind: str) -> None:
        self._emit = emit
        self._kind = kind

    def write(self, data: bytes | bytearray) -> None:
        self._emit(self._kind, bytes(data))


def prepare_here(arguments: dict[str, Any], emit: Emit) -> None:
    """Prepare the files named in the arguments, in this process; the child's side of `prepare_apart`."""
    options = typed.convert(arguments["options"], PrepareOptions)
    paths = {role: Path(path) for role, path in arguments["paths"].items()}
    samples = Samples(arguments["samples"])
    with ExitStack() as stack:
        files = {
            role: Input(
                read_blocks(stack.enter_context(path.open("rb", buffering=0))), arguments["names"][role], options
            )
            for role, path in paths.items()
        }
        try:
            report = _prepared(files, paths, options, samples, emit)
        except DatasetRejectedError as error:
            report = error.report
        except PrepareOptionsError as error:
            emit("options_fault", str(error).encode())
            return
    for row in samples.rows:
        emit("sample", encode_row(row))
    emit("report", report.to_json())


def _prepared(
    files: dict[str, Input], paths: dict[str, Path], options: PrepareOptions, samples: Samples, emit: Emit
) -> Report:
    from shared.dataset.prepare import Preparation

    def tell(progress: Progress) -> None:
        emit("progress", b"%d" % progress.rows_read)

    train, test = (_FrameWriter(emit, kind) for kind in ("train", "test"))
    mended = _FrameWriter(emit, "mended")
    preparation = Preparation(files["train"], files.get("test"), train, test, options, samples, mended, tell)
    with preparation.judged():
        for file in files.values():
            file.open()
        parquets = {role: paths[role] if file.is_parquet else None for role, file in files.items()}
        preparation.read(parquets["train"], parquets.get("test"))
    return preparation.report(usable=True)
