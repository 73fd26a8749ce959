"""Send metrics and parameters to the workspace's MLflow. Trouble there is logged and never stops a training."""

import logging
import os
import time
from typing import Any

from local.training.job import Job
from local.training.progress import log

_PARAMETERS_AT_ONCE = 100  # the limit of MLflow's log-batch
_METRICS_AT_ONCE = 1000
_MOST_WAITING = 10_000
_LAST_PAUSES_S = (0, 0.5, 1, 2)
_PAUSE_AFTER_FAILURE_S = 5


class Metrics:
    """Metrics that could not be sent wait, and go with the next ones: a restart of the server loses none."""

    def __init__(self, client: Any, run_id: str) -> None:
        self._client, self._run_id = client, run_id
        self._waiting: list[tuple[str, float, int, int]] = []
        self._failures = 0
        self._not_before = 0.0

    def log(self, metrics: dict[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._waiting += [(name, float(value), now, step) for name, value in metrics.items()]
        if len(self._waiting) > _MOST_WAITING:
            log.warning("%d metrics are given up: MLflow takes none", len(self._waiting) - _MOST_WAITING)
            self._waiting = self._waiting[-_MOST_WAITING:]
        if time.monotonic() >= self._not_before:
            self._send()

    def parameters(self, values: dict[str, object]) -> None:
        from mlflow.entities import Param

        items = [Param(name, str(value)[:500]) for name, value in values.items()]
        for start in range(0, len(items), _PARAMETERS_AT_ONCE):
            batch = items[start : start + _PARAMETERS_AT_ONCE]
            self._try(lambda batch=batch: self._client.log_batch(self._run_id, params=batch), "parameters")

    def close(self) -> None:
        """Try a few times more to send what waits; say how much is lost."""
        for pause_s in _LAST_PAUSES_S:
            time.sleep(pause_s if self._waiting else 0)
            if self._send():
                break
        if self._waiting:
            log.error("%d metrics of this run could not be sent to MLflow and are only in this log", len(self._waiting))

    def _send(self) -> bool:
        from mlflow.entities import Metric

        while self._waiting:
            batch = [Metric(*values) for values in self._waiting[:_METRICS_AT_ONCE]]
            if not self._try(lambda batch=batch: self._client.log_batch(self._run_id, metrics=batch), "metrics"):
                return False
            del self._waiting[: len(batch)]
        return True

    def _try(self, send: Any, what: str) -> bool:
        try:
            send()
        except Exception as error:  # noqa: BLE001 - whatever the client raises, the training is worth more
            self._failures += 1
            self._not_before = time.monotonic() + _PAUSE_AFTER_FAILURE_S
            log.warning("%s were not recorded in MLflow (%d. failure): %s", what, self._failures, _first_line(error))
            return False
        return True


class NoMetrics:
    """For a job without a workspace to report to: the log has the numbers."""

    def log(self, metrics: dict[str, float], step: int) -> None: ...

    def parameters(self, values: dict[str, object]) -> None: ...

    def close(self) -> None: ...


def open_metrics(job: Job, run_id: str | None) -> Metrics | NoMetrics:
    """Connect to the run that the emulator made for the step. Nothing is sent yet."""
    if job.mlflow is None or run_id is None:
        log.info("no MLflow in job.json: metrics are in this log only")
        return NoMetrics()
    os.environ.update(
        {
            "MLFLOW_TRACKING_TOKEN": str(job.mlflow.get("token") or ""),
            # A server that hangs or is gone must not hold up the training; what it missed is sent again later.
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
    )
    if job.mlflow.get("ca_bundle"):
        os.environ["REQUESTS_CA_BUNDLE"] = str(job.mlflow["ca_bundle"])
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return Metrics(MlflowClient(tracking_uri=job.mlflow["tracking_uri"]), run_id)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
