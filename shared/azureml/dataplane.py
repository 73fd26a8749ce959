"""The workspace's regional services that the SDK has no public call for: run history and MLflow's REST API.

Source: the addresses are those that the SDK itself uses (workspace `discovery_url` and `mlflow_tracking_uri`); the
MLflow paths are MLflow's own REST API, which Azure ML implements.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.azureml.client import AzureML
from shared.azureml.trouble import understood
from shared.identity import ASKED_ONCE, credential

if TYPE_CHECKING:
    from azure.core import PipelineClient


MOST_STEPS = 200
READS = 3
"""How often a read that stumbles is made, at once. A job's metrics take a dozen reads, and all of them are made again
when one fails: an Azure that stumbles at one request in eight would keep a run from being registered for hours."""
_STUMBLES = frozenset({500, 502, 503, 504})


class DataPlane:
    """Run history and MLflow of one workspace."""

    def __init__(self, azureml: AzureML) -> None:
        self._azureml = azureml

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run of the run history (a job or one of its children)."""
        return self._get(f"{self._history}/runs/{run_id}", f"reading the run history of {run_id}")

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """Return all runs below a job: its nodes, and the steps of a node that is a pipeline itself."""
        found: list[dict[str, Any]] = []
        todo = [run_id]
        while todo and len(found) < MOST_STEPS:
            below = self._children(todo.pop())
            found += below
            todo += [str(child["runId"]) for child in below]
        return found

    def _children(self, run_id: str) -> list[dict[str, Any]]:
        url: str | None = f"{self._history}/runs/{run_id}/children"
        children: list[dict[str, Any]] = []
        while url and len(children) < MOST_STEPS:
            answer = self._get(url, f"reading the steps of {run_id}")
            children += answer.get("value") or []
            url = answer.get("nextLink")
        return children

    def mlflow_run(self, run_id: str) -> dict[str, Any]:
        """Return MLflow's run of a job or a step, with the last value of each metric."""
        answer = self._get(f"{self._mlflow}/runs/get", f"reading the metrics of {run_id}", run_id=run_id)
        return dict(answer["run"])

    def metric_history(self, run_id: str, metric: str) -> list[dict[str, Any]]:
        """Return all logged values of a metric: {"key", "value", "timestamp" in ms, "step"}, in MLflow's order."""
        answer = self._get(
            f"{self._mlflow}/metrics/get-history", f"reading {metric} of {run_id}", run_id=run_id, metric_key=metric
        )
        return list(answer.get("metrics", []))

    @cached_property
    def _history(self) -> str:
        api = self._get(self._workspace.discovery_url, "asking the workspace for its services", authenticated=False)[
            "api"
        ]
        return f"{api}/history/v1.0{self._azureml.workspace_id}"

    @cached_property
    def _mlflow(self) -> str:
        uri = str(self._workspace.mlflow_tracking_uri).replace("azureml://", "https://", 1).rstrip("?")
        return f"{uri.replace('/mlflow/v1.0/', '/mlflow/v2.0/')}/api/2.0/mlflow"

    @cached_property
    def _workspace(self) -> Any:
        with understood("looking up the workspace"):
            return self._azureml.workspace.workspaces.get(self._azureml.settings.workspace_name)

    @cached_property
    def _client(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy

        scope = f"{self._azureml.settings.cloud.resource_manager.rstrip('/')}/.default"
        return PipelineClient(
            "", policies=[RetryPolicy(**ASKED_ONCE), BearerTokenCredentialPolicy(credential(), scope)], **ASKED_ONCE
        )

    @cached_property
    def _anonymous_client(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import RetryPolicy

        return PipelineClient("", policies=[RetryPolicy(**ASKED_ONCE)], **ASKED_ONCE)

    def _get(self, url: str, what: str, *, authenticated: bool = True, **query: str) -> dict[str, Any]:
        from azure.core.rest import HttpRequest

        client = self._client if authenticated else self._anonymous_client
        with understood(what):
            for _ in range(READS):
                response = client.send_request(HttpRequest("GET", url, params=query))
                if response.status_code not in _STUMBLES or "Retry-After" in response.headers:
                    break
            response.raise_for_status()
            return dict(response.json())
