"""Hundreds of runs in an Azure that is not well, with hosts that are killed: each comes to what its truth demands."""

from __future__ import annotations

import threading
import time
import warnings

import pytest

from tests.faults import hosts
from tests.faults.conftest import KILLS
from tests.faults.outside import breaches
from tests.faults.storm import Place, Storm
from tests.functional.azureml_emulator.core.driver import Wire

with warnings.catch_warnings():
    # Loaded once, here: hosts are forked from this process. azure-ai-ml makes marshmallow warn about its use of it.
    warnings.simplefilter("ignore")
    import azure.ai.ml.entities  # noqa: F401

    hosts.load()

pytestmark = pytest.mark.faults
SETTINGS = {
    "RUN_LEASE": "5m",
    "MAX_ACTIVE_RUNS": "100",
    "MAX_LIVE_ENDPOINTS": "100",
    "IDLE_AFTER": "15h",
    "EVALUATE": "false",
}


def test_every_run_of_a_storm_comes_to_what_its_truth_demands(
    place: Place, azure: Wire, seed: int, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert threading.active_count() == 1, "hosts are forked from here: a thread's locks would stay locked in them"
    storm = Storm(place, seed, count, KILLS, SETTINGS)
    began = time.monotonic()
    try:
        runs = storm.rage()
        found = breaches(storm, runs, azure)
    except BaseException:
        print(_replay(seed, count))
        raise
    with capsys.disabled():
        print(f"\n  storm {seed}: {count} runs, {storm.killed.total()} hosts killed, {time.monotonic() - began:.0f} s")
    assert not found, "\n".join([_replay(seed, count), *found])


def _replay(seed: int, count: int) -> str:
    return f'Replay it with: make test-faults ARGS="--seed {seed} --runs {count}"'
