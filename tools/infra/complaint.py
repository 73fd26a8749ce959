"""What a check has to say: where, what is there, what is expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Where:
    """A place in a file, as an editor opens it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, order=True)
class Complaint:
    """One mistake. `found` and `expected` are whole phrases; `todo` is what mends it."""

    where: Where
    found: str
    expected: str
    todo: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; expected {self.expected}. {self.todo}."
