from collections.abc import Mapping
from typing import Any

import pytest

from local.azureml.http import AzureError
from local.azureml.jobs.command_plan import plan_command

COMPONENT = "/subscriptions/s/components/azureml_anonymous/versions/guid-1"
SPEC: dict[str, Any] = {
    "name": "count_rows",
    "type": "command",
    "inputs": {"data": {"type": "uri_file"}, "limit": {"type": "integer", "default": "5"}},
    "outputs": {"result": {"type": "uri_file"}},
    "command": "wc -l ${{inputs.data}} > ${{outputs.result}}",
    "environment": "/subscriptions/s/environments/e/versions/1",
}


class Workspace:
    """Has one component, one environment, one cluster (cpu) and one size."""

    def __init__(self, spec: Mapping[str, Any] = SPEC) -> None:
        self._spec = spec

    def command_component(self, component_id: str) -> Mapping[str, Any]:
        return self._there(component_id == COMPONENT, component_id, self._spec)

    def blob(self, uri: str) -> tuple[str, str]:
        return "prepared", uri.rpartition("/paths/")[2]

    def check_compute(self, name: str) -> None:
        self._there(name == "cpu", name)

    def check_size(self, name: str) -> None:
        self._there(name == "Standard_E4ds_v4", name)

    def check_environment(self, environment_id: str) -> None:
        self._there(environment_id == SPEC["environment"], environment_id)

    def _there(self, found: bool, name: str, value: Any = None) -> Any:
        if not found:
            raise AzureError(404, "NotFound", f"{name} is not there")
        return value


def node(**changes: Any) -> dict[str, Any]:
    place = "azureml://datastores/d/paths/r1"
    return {
        "type": "command",
        "componentId": COMPONENT,
        "computeId": "/subscriptions/s/computes/serverless",
        "resources": {"instance_type": "Standard_E4ds_v4", "instance_count": 1},
        "inputs": {"data": {"job_input_type": "uri_file", "uri": f"{place}/data.txt"}},
        "outputs": {"result": {"job_output_type": "uri_file", "uri": f"{place}/result.txt", "mode": "Upload"}},
        **changes,
    }


def refusal(changed: dict[str, Any], spec: Mapping[str, Any] = SPEC) -> AzureError:
    with pytest.raises(AzureError) as caught:
        plan_command("count", changed, Workspace(spec))
    return caught.value


def test_what_runs_where_and_on_what_is_found() -> None:
    plan = plan_command("count", node(), Workspace())
    assert (plan.node, plan.component, plan.version, plan.compute) == ("count", "count_rows", "guid-1", "serverless")
    place = {"container": "prepared", "blob": "r1/data.txt", "uri": "azureml://datastores/d/paths/r1/data.txt"}
    assert plan.inputs == {"data": {**place, "type": "uri_file"}}
    assert (plan.outputs["result"]["blob"], plan.outputs["result"]["mode"]) == ("r1/result.txt", "Upload")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": {}}, "input data is required"),
        ({"inputs": {**node()["inputs"], "colour": {"value": "red"}}}, "colour is not one of the component's inputs"),
        ({"outputs": {**node()["outputs"], "more": {"uri": "x"}}}, "more is not one of the component's outputs"),
        ({"outputs": {}}, "output result needs a uri here"),
        ({"componentId": "/elsewhere"}, "/elsewhere is not there"),
        ({"computeId": "/subscriptions/s/computes/gpu"}, "gpu is not there"),
        ({"resources": {"instance_type": "Standard_X1"}}, "Standard_X1 is not there"),
    ],
)
def test_a_node_that_cannot_run_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(node(**changes)).message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "parallel"}, "its component is of type parallel, expected command"),
        ({"command": "cat ${{inputs.dta}}"}, "the command names inputs.dta, which the component does not declare"),
        ({"environment": "azureml:none:1"}, "azureml:none:1 is not there"),
    ],
)
def test_a_component_that_cannot_run_is_refused(changes: dict[str, str], said: str) -> None:
    assert said in refusal(node(), {**SPEC, **changes}).message


def test_a_cluster_is_looked_up_by_its_short_name() -> None:
    plan = plan_command("count", node(computeId="/subscriptions/s/computes/cpu", resources={}), Workspace())
    assert plan.compute == "cpu"
