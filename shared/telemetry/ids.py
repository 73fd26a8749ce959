"""The ids that everything told about a call carries: of its run, and of what set it off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

RUN_ID, PROJECT, TRIGGER, DELIVERY_ID = (
    "finetune.run_id",
    "finetune.project",
    "finetune.trigger",
    "finetune.delivery_id",
)
A = TypeVar("A")
B = TypeVar("B")
_ids: ContextVar[Mapping[str, str] | None] = ContextVar("finetune_ids", default=None)


def ids() -> Mapping[str, str]:
    """Return the ids that hold here, by their names in telemetry; an id that is not known is left out."""
    return _ids.get() or {}


@contextmanager
def about(*, run_id: str = "", project: str = "", trigger: str = "", delivery_id: str = "") -> Iterator[None]:
    """Say what the calls within are about; what is not given stays as it was outside."""
    given = {RUN_ID: run_id, PROJECT: project, TRIGGER: trigger, DELIVERY_ID: delivery_id}
    token = _ids.set({**ids(), **{name: value for name, value in given.items() if value}})
    try:
        yield
    finally:
        _ids.reset(token)


def carried(call: Callable[[A], B]) -> Callable[[A], B]:
    """Return a function that takes along the ids and the span that hold here: a pool's threads know of neither."""
    here = copy_context()

    def with_ids(argument: A) -> B:
        # One copy for each call: a context is entered by one thread at a time.
        return here.copy().run(call, argument)

    return with_ids


class WithIds(logging.Filter):
    """Puts the ids on every record that passes a handler, where formats and exporters find them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        vars(record).update(ids())
        return True
