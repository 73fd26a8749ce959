"""One class per situation a caller of the dataset package can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.dataset.report import Report


class DatasetError(Exception):
    """Base of everything this package raises on purpose."""


class PrepareOptionsError(DatasetError, ValueError):
    """Options that cannot be carried out; all faults in one message."""


class DatasetRejectedError(DatasetError):
    """The dataset cannot be used. A retry does not help; a corrected upload does.

    `report` says everything that was found; `str(error)` is its reason in one line.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"{report.dataset}: {report.reason}")
        self.report = report


class UnusableFileError(DatasetError):
    """Stops the reading of a file as a whole; `prepare` turns it into a DatasetRejectedError with the report."""

    def __init__(self, reason: str, *, format: str | None = None, layout: str | None = None) -> None:  # noqa: A002
        super().__init__(reason)
        self.reason = reason
        self.format = format
        self.layout = layout


class LineTooLongError(DatasetError):
    """The current line goes on beyond the limit; `prepare` knows its number."""


class RowError(DatasetError):
    """One row cannot be used; `reason` is one of the codes in reasons.py."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
