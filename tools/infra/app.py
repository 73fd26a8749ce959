"""What the code needs of Azure, read from the code: its functions, its settings, its names."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATASETS_NOT_RUNS = "deadletter"
"""Event Grid writes its dead letters here. The app never opens it, so that no constant of the app names it; the local
Azure makes it under the same name."""


@dataclass(frozen=True)
class Function:
    """One function of the index. binding: the trigger's own properties, as function.json would have them."""

    name: str
    trigger: str
    binding: Mapping[str, Any]


class App:
    """The app of this repository, as far as infrastructure has to know it."""

    @cached_property
    def functions(self) -> list[Function]:
        """Index function_app.py afresh, as the worker does: an index can be asked for its functions once only."""
        if str(ROOT) not in sys.path:
            sys.path.insert(0, str(ROOT))
        app = runpy.run_path(str(ROOT / "function_app.py"))["app"]
        return [
            Function(one.get_function_name(), (trigger := one.get_trigger()).type, trigger.get_dict_repr())
            for one in app.get_functions()
        ]

    def triggered_by(self, trigger: str) -> list[Function]:
        return [one for one in self.functions if one.trigger == trigger]

    @cached_property
    def settings(self) -> dict[str, str | None]:
        """Every setting and its default; None: it must be set."""
        from shared.settings import declared

        return {variable: default for variable, default, _ in declared()}

    def fault_of(self, variable: str, text: str) -> str | None:
        """Say which form a setting must have when a text has not; None when it is right."""
        from dataclasses import fields

        from shared.settings import Settings

        for one in fields(Settings):
            if one.metadata.get("variable") == variable and text:
                try:
                    one.metadata["parse"](text)
                except ValueError as fault:
                    return str(fault)
        return None

    @cached_property
    def containers(self) -> dict[str, str]:
        """The containers that must be there, and what for."""
        from shared.runs.names import DATASETS, PREPARED, RUNS

        return {
            DATASETS: "datasets are dropped there (shared/runs/names.py)",
            PREPARED: "prepared data lies there (shared/runs/names.py)",
            RUNS: "what people read of a run lies there (shared/runs/names.py)",
            DATASETS_NOT_RUNS: "Event Grid's dead letters",
        }

    @cached_property
    def tables(self) -> dict[str, str]:
        """The tables that must be there, and what for."""
        from shared.runs.store import TABLE

        return {TABLE: "the runs (shared/runs/store.py)"}

    @cached_property
    def watched_container(self) -> str:
        (function,) = self.triggered_by("blobTrigger")
        return str(function.binding["path"]).partition("/")[0]

    @cached_property
    def job_event_types(self) -> frozenset[str]:
        from functions.parsing import JOB_EVENT_TYPES

        return JOB_EVENT_TYPES
