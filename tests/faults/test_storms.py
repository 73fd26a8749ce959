"""Hundreds of runs in an Azure that is not well, with hosts that are killed: each comes to what its truth demands."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.faults.drivers import Driver

pytestmark = pytest.mark.faults


def test_every_run_of_a_storm_comes_to_what_its_truth_demands(
    drivers: Mapping[int, Driver], seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = drivers[seed].result(seed)
    told = f"storm {seed}: {result.runs} runs, {result.killed} hosts killed, {result.seconds:.0f} s"
    replay = f'Replay it with: make test-faults ARGS="--seed {seed} --runs {result.runs}"'
    with capsys.disabled():
        print("\n ", "\n  ".join([told, *result.breaches, *([replay] if result.breaches else [])]))
    assert not result.breaches, replay
