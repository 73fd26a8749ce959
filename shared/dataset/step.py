"""Prepare one dataset as a step of an Azure ML job: `python -m shared.dataset.step TASK --source DIR ...`.

TASK is a JSON file: what the dataset is called, what is known of its content, and the options. Exit code 0: usable,
2: rejected (the report says why), 1: anything else; trouble that a person can act on is written to failure.json too,
because a job's own message is only the end of its log.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import msgspec

from shared import typed
from shared.dataset.errors import DatasetError, DatasetRejectedError, PrepareOptionsError
from shared.dataset.files import REPAIRED, REPORT, TEST, TRAIN, prepare_file
from shared.dataset.inputs import read_blocks
from shared.dataset.options import PrepareOptions
from shared.dataset.report import Progress, Report
from shared.dataset.samples import Samples

USABLE, ERROR, REJECTED = 0, 1, 2
FAILURE = "failure.json"
DATASET_FILE, TEST_FILE, TOKENIZER_FILE = "dataset", "test", "tokenizer.json"
"""What the files in the source directory are called, whatever they were called by their owners."""

MOST_REPAIRED = 1024**3
"""Bytes of repaired.jsonl above which it is left out: nobody looks at so much."""

_SAY_EVERY_S = 30


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file to read: its name, and what is known of the version wanted: size in bytes, md5 in hex or None."""

    name: str
    size: int
    md5: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to prepare. tokenizer: its name, if there is one. training: a `shared.costs.TrainingPlan`, for the page."""

    dataset: File
    test: File | None = None
    tokenizer: str | None = None
    options: PrepareOptions = PrepareOptions()
    training: dict[str, Any] | None = None


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """failure.json: why there is no report. reason: `dataset_gone`, `options`, or `step_failed` for the rest."""

    reason: str
    message: str


class SourceChangedError(DatasetError):
    """A file is not the version that was wanted."""


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """Where the results go: two files, and a folder for the report and whatever else was written."""

    train: Path
    test: Path
    findings: Path


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, and not argparse's exit code 2, which means `rejected` here."""
        self.exit(ERROR, f"{self.prog}: {message}\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the step. Returns: the exit code."""
    asked = _parser().parse_args(arguments)
    outputs = Outputs(train=asked.train, test=asked.test, findings=asked.findings)
    try:
        task = typed.decode(asked.task.read_bytes(), Task)
        report = run(task, asked.source, outputs)
    except SourceChangedError as error:
        return _fail(outputs, "dataset_gone", str(error))
    except (PrepareOptionsError, msgspec.ValidationError) as error:
        return _fail(outputs, "options", f"The dataset cannot be read as its options say: {error}")
    except (DatasetError, msgspec.DecodeError) as error:
        return _fail(outputs, "step_failed", str(error))
    except OSError as error:
        # The name of the file, never its content; a full disk is the most likely of these.
        where = f"{error.filename}: " if error.filename else ""
        return _fail(outputs, "step_failed", f"{where}{error.strerror or type(error).__name__}")
    if not report.usable:
        return _say(f"{report.dataset}: {report.reason}", REJECTED)
    return _say(f"{report.rows_train} rows to train on, {report.rows_test} held out, of {report.rows_read}", USABLE)


def run(task: Task, source: Path, outputs: Outputs) -> Report:
    """Prepare what lies in `source` and put the results in their places, the report last: then everything is there.

    The work is done in the working directory, on the machine's own disk: the outputs may be mounted storage, where a
    file cannot be renamed and is kept as soon as it is closed.

    Raises: SourceChangedError; PrepareOptionsError; OSError. A dataset that cannot be used is no error: its report says
    so.
    """
    check_version(task.dataset, source / DATASET_FILE)
    if task.test is not None:
        check_version(task.test, source / TEST_FILE)
    with tempfile.TemporaryDirectory(prefix="preparation-", dir=Path.cwd()) as scratch:
        dataset = _under_its_name(source / DATASET_FILE, task.dataset, Path(scratch, "in"))
        test = _under_its_name(source / TEST_FILE, task.test, Path(scratch, "test")) if task.test else None
        tokenizer = str(source / TOKENIZER_FILE) if task.tokenizer else None
        prepared = Path(scratch, "out")
        try:
            report = prepare_file(
                dataset,
                prepared,
                msgspec.structs.replace(task.options, tokenizer=tokenizer),
                _progress(),
                page=lambda report, samples: _page(task, report, samples),
                test_path=test,
            )
        except DatasetRejectedError as rejected:
            report = rejected.report
        report = _named(task, report)
        _hand_in(prepared, report, outputs)
    return report


def check_version(wanted: File, file: Path) -> None:
    """Look whether a file is the version that is wanted. Raises: SourceChangedError: it is another one."""
    size = file.stat().st_size
    if size != wanted.size:
        raise _changed(wanted, f"it has {size:,} bytes, expected {wanted.size:,}")
    if wanted.md5 is None:
        return
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb", buffering=0) as content:
        for block in read_blocks(content):
            digest.update(block)
    if digest.hexdigest() != wanted.md5.lower():
        raise _changed(wanted, f"its MD5 is {digest.hexdigest()}, expected {wanted.md5}")


def _changed(wanted: File, how: str) -> SourceChangedError:
    return SourceChangedError(
        f"{wanted.name} was replaced before it was prepared: {how}. The new version makes a run of its own."
    )


def _under_its_name(file: Path, known: File, folder: Path) -> Path:
    """Link a file under its owner's name for it: the extension is a hint at the format."""
    folder.mkdir()
    link = folder / (PurePosixPath(known.name).name[-60:] or "dataset")
    link.symlink_to(file.resolve())
    return link


def _named(task: Task, report: Report) -> Report:
    """Put the names of the dataset and what lies beside it into the report, instead of those of files here."""
    test_file = report.test_file
    if test_file is not None and task.test is not None:
        test_file = msgspec.structs.replace(test_file, dataset=task.test.name)
    options = msgspec.structs.replace(report.options, tokenizer=task.tokenizer)
    return msgspec.structs.replace(report, dataset=task.dataset.name, test_file=test_file, options=options)


def _page(task: Task, report: Report, samples: Samples) -> bytes:
    from shared.costs import TrainingPlan, estimate, workload_of
    from shared.dataset.page import render

    training = None
    if report.usable and task.training is not None:
        training = estimate(workload_of(report), typed.convert(task.training, TrainingPlan))
    return render(_named(task, report), samples.rows, training)


def _hand_in(prepared: Path, report: Report, outputs: Outputs) -> None:
    if report.usable:
        for name, target in ((TRAIN, outputs.train), (TEST, outputs.test)):
            _move(prepared / name, target)
    outputs.findings.mkdir(parents=True, exist_ok=True)
    for extra in sorted(prepared.iterdir()):
        is_too_large = extra.name == REPAIRED and extra.stat().st_size > MOST_REPAIRED
        if extra.is_file() and extra.name not in (TRAIN, TEST, REPORT) and not is_too_large:
            _move(extra, outputs.findings / extra.name)
    (outputs.findings / REPORT).write_bytes(report.to_json())


def _move(file: Path, target: Path) -> None:
    """Copy front to back, the one way of writing that every mount knows, and free the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open("rb") as source, target.open("wb") as out:
        shutil.copyfileobj(source, out, 4 * 1024 * 1024)
    file.unlink()


def _progress(clock: Callable[[], float] = time.monotonic) -> Callable[[Progress], None]:
    """A line in the step's log now and then."""
    said = clock()

    def show(progress: Progress) -> None:
        nonlocal said
        if clock() - said >= _SAY_EVERY_S:
            said = clock()
            _say(f"{progress.bytes_read / 1e6:,.0f} MB, {progress.rows_read:,} rows", USABLE)

    return show


def _fail(outputs: Outputs, reason: str, message: str) -> int:
    trouble = Trouble(reason=reason, message=" ".join(message.split()))
    try:
        outputs.findings.mkdir(parents=True, exist_ok=True)
        (outputs.findings / FAILURE).write_bytes(msgspec.json.encode(trouble))
    except OSError as error:
        _say(f"{FAILURE} cannot be written: {error.strerror or type(error).__name__}", ERROR)
    return _say(trouble.message, ERROR)


def _say(message: str, code: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    sys.stderr.flush()
    return code


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m shared.dataset.step", description="Prepare one dataset as a step of an Azure ML job."
    )
    parser.add_argument("task", type=Path, metavar="TASK", help="JSON file: what to prepare, and how")
    parser.add_argument("--source", type=Path, required=True, metavar="DIR", help="holds dataset, test, tokenizer.json")
    parser.add_argument("--train", type=Path, required=True, metavar="FILE", help="where train.jsonl goes")
    parser.add_argument("--test", type=Path, required=True, metavar="FILE", help="where test.jsonl goes")
    parser.add_argument("--findings", type=Path, required=True, metavar="DIR", help="where report.json and the like go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
