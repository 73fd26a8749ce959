"""Failures on request, for tests: STATE/faults.json says what is to fail, and is read when something could."""

import json
import logging
import time
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)
_READS = 5
_PAUSE_S = 0.05


def read(state_dir: Path, kind: str) -> dict[str, Any] | None:
    """Answer the fault that is asked for one kind ("job", "deployment", "compute"), or None.

    Example: {"deployment": {"message": "..."}, "compute": {"vmPriority": "Dedicated", "message": "..."}}; a cluster
    with {"compute": {"provisioning": "..."}} is taken, and fails while it is being made.
    """
    asked = _read(state_dir / "faults.json")
    fault: dict[str, Any] | None = asked.get(kind)
    return fault


def _read(file: Path) -> dict[str, Any]:
    for _ in range(_READS):
        try:
            asked = json.loads(file.read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            asked = None
        if isinstance(asked, dict):
            return asked
        time.sleep(_PAUSE_S)
    _LOG.warning("%s is not a JSON object: no fault is made", file)
    return {}
