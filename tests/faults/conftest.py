"""The options that replay a storm, and the drivers that let storms rage."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping

import pytest

from tests.faults import hosts
from tests.faults.drivers import Driver

SEEDS, RUNS, DRIVERS = range(1, 7), 50, 2


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="replay the storm of this seed alone")
    parser.addoption("--runs", type=int, default=RUNS, help="runs of a storm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--seed", default=None)
        metafunc.parametrize("seed", SEEDS if chosen is None else [chosen])


@pytest.fixture(scope="session")
def drivers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[int, Driver]]:
    """The driver of every seed that a test of this session asks for."""
    assert threading.active_count() == 1, "hosts are forked from here: a thread's locks would stay locked in them"
    count = int(request.config.getoption("--runs", default=RUNS))
    asked = [item.callspec.params["seed"] for item in request.session.items if _is_storm(item)]
    with warnings.catch_warnings():
        # azure-ai-ml makes marshmallow warn about its use of it.
        warnings.simplefilter("ignore")
        hosts.load()
    found = [
        Driver(seeds, count, tmp_path_factory.mktemp(f"storms{number}"))
        for number in range(DRIVERS)
        if (seeds := asked[number::DRIVERS])
    ]
    yield {seed: driver for driver in found for seed in driver.seeds}
    for driver in found:
        driver.end()


def _is_storm(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item, "callspec") and "seed" in item.callspec.params
