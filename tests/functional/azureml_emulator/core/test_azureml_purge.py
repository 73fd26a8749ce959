"""What a start forgets: operations, endpoints and deployments that have been over for more than a day."""

from datetime import UTC, datetime, timedelta

import pytest

from local.azureml.server import Emulator
from local.azureml.services import Config
from tests.functional.azureml_emulator.core.driver import Wire

ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}
KINDS = ("operation", "endpoint", "deployment")


@pytest.fixture
def used(config: Config) -> Config:
    """The configuration of an emulator that ended with one endpoint, one deleted one and what a kill left of that."""
    with Emulator(config) as running, Wire(config) as wire:
        for name in ("kept", "deleted"):
            assert wire("PUT", f"onlineEndpoints/{name}", ENDPOINT).status_code == 201
        assert wire("DELETE", "onlineEndpoints/deleted").status_code == 202
        operation = {"started": datetime.now(UTC).isoformat(), "ends": None, "error": None}
        running.services.store.put("operation", "od:under-way", operation)
        left_over = {"endpoint": "deleted", "name": "blue", "phase": "Updating", "operation": "od:under-way"}
        running.services.store.put("deployment", "deleted/blue", {**left_over, "delete_ends": None})
    return config


def kept_after(config: Config, days: int) -> dict[str, list[str]]:
    with Emulator(config, lambda: datetime.now(UTC) + timedelta(days=days)) as running:
        return {kind: [key for key, _ in running.services.store.list(kind)] for kind in KINDS}


def test_a_start_within_the_day_forgets_only_what_a_cut_off_deletion_left(used: Config) -> None:
    found = kept_after(used, 0)
    assert found["endpoint"] == ["deleted", "kept"]
    assert found["deployment"] == []
    assert len(found["operation"]) == 4


def test_a_start_after_a_day_forgets_what_is_over(used: Config) -> None:
    kept_after(used, 0)
    assert kept_after(used, 2) == {"operation": [], "endpoint": ["kept"], "deployment": []}
