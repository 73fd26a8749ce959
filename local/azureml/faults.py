"""Failures on request, for tests: STATE/faults.json says what is to fail, and is read when something could."""

import json
from pathlib import Path
from typing import Any


def read(state_dir: Path, kind: str) -> dict[str, Any] | None:
    """Answer the fault that is asked for one kind ("job", "deployment", "compute"), or None.

    Example: {"deployment": {"message": "..."}, "compute": {"vmPriority": "Dedicated", "message": "..."}}; a cluster
    with {"compute": {"provisioning": "..."}} is taken, and fails while it is being made.
    """
    try:
        asked = json.loads((state_dir / "faults.json").read_text())
    except FileNotFoundError:
        return None
    fault: dict[str, Any] | None = asked.get(kind)
    return fault
