"""Metrics that come late, as Azure Monitor's do: `--metrics-lag`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import requests

from local.azureml.server import Emulator
from local.azureml.services import Config
from tests.functional.azureml_emulator.core.driver import Wire

ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}
METRICS = "onlineEndpoints/late/providers/Microsoft.Insights/metrics"


class Clock:
    """The real time, and what it is ahead of it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def requests_shown(wire: Wire) -> float:
    answer = wire("GET", METRICS, metricnames="RequestsPerMinute", aggregation="Total", interval="PT1M")
    (metric,) = answer.json()["value"]
    return sum(point.get("total", 0) for series in metric["timeseries"] for point in series["data"])


def test_a_request_shows_once_its_minute_has_ended_for_the_lag(config: Config) -> None:
    clock = Clock()
    with Emulator(replace(config, metrics_lag_s=120), clock) as running, Wire(running.services.config) as wire:
        assert wire("PUT", "onlineEndpoints/late", ENDPOINT).status_code == 201
        verify = str(config.tls.ca_bundle)
        assert requests.get(f"{config.base_url}/inference/late/score", verify=verify, timeout=10).status_code == 401
        assert requests_shown(wire) == 0
        clock.ahead = timedelta(seconds=110)
        assert requests_shown(wire) == 0
        clock.ahead = timedelta(seconds=190)
        assert requests_shown(wire) == 1
