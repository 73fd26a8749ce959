"""Keeping a run's record within one row of Table Storage, whatever is put into it.

A row holds 1 MiB, a property 64 KiB, both counted in UTF-16; a record that is too long could never be saved again, and
its run would be stuck. So what a run can live without is shortened, the least important first, and the run says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from shared.runs.parts import Failure, Hold
from shared.runs.record import Run

MOST_UNITS = 450_000
"""UTF-16 code units of a record: 900 kB, which leaves room for the row's other columns."""
MESSAGE_LENGTH, NAME_LENGTH = 4000, 200
_KEPT = 20
_encode = msgspec.json.Encoder().encode
_Told = TypeVar("_Told", Failure | None, Hold | None)


def fit(run: Run) -> None:
    """Shorten a run's record in place until it fits into its row; nothing, as good as always."""
    _shorten_messages(run)
    for name, cut in _CUTS:
        if _units(run) <= MOST_UNITS:
            return
        cut(run)
        if name not in run.shortened:
            run.shortened.append(name)


def _units(run: Run) -> int:
    record = _encode(run)
    # No text has more UTF-16 code units than bytes of UTF-8: most records need not be counted.
    return len(record) if len(record) <= MOST_UNITS else len(record.decode().encode("utf-16-le")) // 2


def _shorten_messages(run: Run) -> None:
    run.failure, run.ending, run.hold = (_told(run.failure), _told(run.ending), _told(run.hold))
    run.waiting_for = run.waiting_for and shortened(run.waiting_for)


def _told(told: _Told) -> _Told:
    if told is None or len(told.message) <= MESSAGE_LENGTH:
        return told
    return msgspec.structs.replace(told, message=shortened(told.message))


def shortened(text: str, length: int = MESSAGE_LENGTH) -> str:
    """Return a text's beginning, with an ellipsis where it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cut_smoke_test(run: Run) -> None:
    """Keep the numbers; the whole report lies in the container `runs`."""
    test = run.smoke_test or {}
    run.smoke_test = {
        shortened(str(key), NAME_LENGTH): value for key, value in list(test.items())[:_KEPT] if _is_small(value)
    }


def _is_small(value: Any) -> bool:
    return len(_encode(value)) <= NAME_LENGTH


def _cut_findings(run: Run) -> None:
    """Keep the first of them; all are in report.json."""
    if (found := run.findings) is None:
        return
    left_out = [
        msgspec.structs.replace(one, words=shortened(one.words, NAME_LENGTH), first=shortened(one.first, NAME_LENGTH))
        for one in found.left_out[:_KEPT]
    ]
    warnings = [shortened(warning, NAME_LENGTH) for warning in found.warnings[:_KEPT]]
    run.findings = msgspec.structs.replace(found, left_out=left_out, warnings=warnings)


def _cut_metrics(run: Run) -> None:
    """Keep the losses first: the quality gate and the model's tags read them. All are in MLflow."""
    by_weight = sorted(run.metrics, key=lambda name: ("loss" not in name, len(name)))
    run.metrics = {name: run.metrics[name] for name in by_weight[: 10 * _KEPT] if len(name) <= NAME_LENGTH}


def _cut_notes(run: Run) -> None:
    run.notes = [shortened(note, NAME_LENGTH) for note in run.notes]


def _cut_history(run: Run) -> None:
    """Keep every transition; of the reasons, the beginning."""
    run.history = [msgspec.structs.replace(line, reason=shortened(line.reason, NAME_LENGTH)) for line in run.history]


def _cut_outbox(run: Run) -> None:
    run.outbox = [msgspec.structs.replace(event, reason=shortened(event.reason, NAME_LENGTH)) for event in run.outbox]


def _cut_rest(run: Run) -> None:
    run.rows = dict(list(run.rows.items())[:_KEPT])
    run.approved = [shortened(reason, NAME_LENGTH) for reason in run.approved[:_KEPT]]
    run.seen = [shortened(one, NAME_LENGTH) for one in run.seen[:_KEPT]]


_CUTS: tuple[tuple[str, Callable[[Run], None]], ...] = (
    ("smoke_test", _cut_smoke_test),
    ("findings", _cut_findings),
    ("metrics", _cut_metrics),
    ("notes", _cut_notes),
    ("history", _cut_history),
    ("outbox", _cut_outbox),
    ("rows", _cut_rest),
)
