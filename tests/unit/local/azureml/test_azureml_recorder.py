"""Requests as operations of Azure's role-based access control."""

import pytest

from local.azureml.recorder import operation_of

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
ML = "Microsoft.MachineLearningServices"


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", WORKSPACE, f"{ML}/workspaces/read"),
        ("GET", f"{WORKSPACE}/jobs", f"{ML}/workspaces/jobs/read"),
        ("PUT", f"{WORKSPACE}/onlineEndpoints/e", f"{ML}/workspaces/onlineEndpoints/write"),
        ("PATCH", f"{WORKSPACE}/onlineEndpoints/e", f"{ML}/workspaces/onlineEndpoints/write"),
        ("DELETE", f"{WORKSPACE}/onlineEndpoints/e", f"{ML}/workspaces/onlineEndpoints/delete"),
        ("POST", f"{WORKSPACE}/jobs/j/cancel", f"{ML}/workspaces/jobs/cancel/action"),
        (
            "POST",
            f"{WORKSPACE}/onlineEndpoints/e/deployments/d/getLogs",
            f"{ML}/workspaces/onlineEndpoints/deployments/getLogs/action",
        ),
        (
            "GET",
            f"/subscriptions/s/providers/{ML}/locations/l/mfeOperationsStatus/oe:1",
            f"{ML}/locations/mfeOperationsStatus/read",
        ),
        (
            "GET",
            f"{WORKSPACE}/onlineEndpoints/e/providers/Microsoft.Insights/metrics",
            "Microsoft.Insights/metrics/read",
        ),
        ("POST", "/subscriptions/s/metrics:getBatch", "Microsoft.Insights/metrics/read"),
        ("GET", f"/history/v1.0{WORKSPACE}/runs/r", f"{ML}/workspaces/experiments/runs/read"),
        ("POST", f"/history/v1.0{WORKSPACE}/rundata", f"{ML}/workspaces/experiments/runs/read"),
        ("POST", f"/mlflow/v2.0{WORKSPACE}/api/2.0/mlflow/runs/log-batch", f"{ML}/workspaces/experiments/runs/write"),
    ],
)
def test_a_request_asks_for_an_operation(method: str, path: str, operation: str) -> None:
    assert operation_of(method, path) == operation


@pytest.mark.parametrize(
    "path",
    [
        "/inference/endpoint/score",
        "/metadata/endpoints",
        "/local/health",
        "/account.blob.core.windows.net/container/blob",
        f"/mferp/managementfrontend/subscriptions/s/resourceGroups/g/providers/{ML}/registries/azureml/models",
    ],
)
def test_what_a_key_or_nothing_opens_needs_no_role(path: str) -> None:
    assert operation_of("GET", path) is None
