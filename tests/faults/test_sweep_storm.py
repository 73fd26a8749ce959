"""Hundreds of sweeps in an Azure that is not well: nothing that is used is removed, and nothing idle is forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.faults.sweep_storm import ENDPOINTS, Storm
from tests.faults.sweep_world import World, one_clock
from tests.functional.app import conftest as local_azure
from tests.functional.app.cloud import Cloud, started
from tests.functional.app.driving import App
from tests.functional.app.topic import Topic
from tests.functional.conftest import azurite

pytestmark = pytest.mark.load
SEED, SWEEPS = 1, 200
MOST_SHOWN = 20

__all__ = ["azurite"]
app_environment, module_app = local_azure.app_environment, local_azure.module_app


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Iterator[Cloud]:
    """An Azure of this module's own: its clock only moves forward."""
    with started(tmp_path_factory.mktemp("sweeps"), azurite, "simulated") as running:
        yield running


@pytest.fixture
def topic(module_app: App) -> Iterator[Topic]:
    topic = Topic(module_app.cloud.config.tls)
    yield topic
    topic.close()


def test_no_sweep_removes_what_is_used_or_forgets_what_is_idle(
    module_app: App, topic: Topic, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = request.config.getoption("--seed", default=None) or SEED
    began = time.monotonic()
    with one_clock(module_app) as traveller:
        app = module_app.configured(EVENT_TOPIC_ENDPOINT=topic.url, IDLE_GRACE="15m")
        world = World(app, app.one_live(), traveller)
        storm = Storm(world, topic, seed)
        made = time.monotonic()
        storm.rage(SWEEPS)
        world.close()
    witness = storm.witness
    told = (
        f"sweeps of seed {seed}: {storm.sweeps}, {len(world.subjects)} endpoints, {witness.warned} warnings, "
        f"{witness.removed} removals, {made - began:.0f} s and {time.monotonic() - made:.0f} s; {dict(storm.told)}"
    )
    replay = f'Replay it with: make test-load ARGS="-k no_sweep --seed {seed}"'
    with capsys.disabled():
        print("\n ", "\n  ".join([told, *witness.breaches[:MOST_SHOWN], *([replay] if witness.breaches else [])]))
    assert witness.breaches == [], replay
    assert len(world.subjects) >= ENDPOINTS
    assert witness.removed >= SWEEPS // 10
    assert witness.warned >= SWEEPS // 10
