"""Workers that die: a process's life is counted in uses of the clock, of storage and of Azure ML."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.runs.store import RunStore
from shared.services import Services
from shared.storage import Blobs


class DiedError(BaseException):
    """The process is gone: nothing after this line happens, as with kill -9."""


class Fate:
    """How much longer a process lives. Every tick may be its last."""

    def __init__(self, ticks: int) -> None:
        self._left = ticks

    def tick(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise DiedError


class Mortal:
    """Anything whose use may be the process's last act; what it gives out (a blob's writer) too."""

    def __init__(self, inner: Any, fate: Fate) -> None:
        self._inner, self._fate = inner, fate

    def __getattr__(self, name: str) -> Any:
        self._fate.tick()
        found = getattr(self._inner, name)
        return found if name != "writer" else lambda *args: Mortal(found(*args), self._fate)


def mortal(services: Services, ticks: int) -> Services:
    """Return the services of a process that will die after so many ticks."""
    fate = Fate(ticks)

    def now() -> datetime:
        fate.tick()
        return services.now()

    store = MortalStore(fate, services.settings.storage, now=now, lease=services.settings.run_lease)
    azureml, plane, blobs = (Mortal(part, fate) for part in (services.azureml, services.plane, services.blobs))
    return replace(services, store=store, blobs=blobs, azureml=azureml, plane=plane, now=now)


class MortalStore(RunStore):
    """The table of runs; every use of it may be the process's last act."""

    def __init__(self, fate: Fate, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fate = fate

    @property
    def table(self) -> Any:
        self._fate.tick()
        return super().table


class Stalled:
    """Azure ML at which something else happens, once, before a call: as soon as a condition holds."""

    def __init__(self, inner: Any, condition: Callable[[], bool], happening: Callable[[], object]) -> None:
        self._inner, self._condition, self._happening = inner, condition, happening
        self._happened = False

    def __getattr__(self, name: str) -> Any:
        if name == "workspace" and not self._happened and self._condition():
            self._happened = True
            self._happening()
        return getattr(self._inner, name)


class Interrupted(Blobs):
    """Storage at which something else happens while a blob is being read: before one of its blocks."""

    def __init__(self, services: Services, happening: Callable[[], object], at_block: int = 1) -> None:
        super().__init__(services.settings.storage)
        self._happening, self._at_block = happening, at_block

    def read(self, container: str, name: str, etag: str) -> Iterator[bytes]:
        blocks = super().read(container, name, etag)
        for number in itertools.count():
            if number == self._at_block:
                self._happening()
            block = next(blocks, None)
            if block is None:
                return
            yield block
