"""A pipeline's command node: what it runs, what it reads and where its results go. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from local.azureml.http import AzureError

PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z0-9_]+)\s*\}\}")
# What stands in such brackets is left out when an optional input in it was not given.
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.S)
_MODELS = ("mlflow_model", "custom_model")


class CommandWorkspace(Protocol):
    """What a command node can refer to. Every lookup raises AzureError when the thing is not there."""

    def command_component(self, component_id: str) -> Mapping[str, Any]: ...

    def blob(self, uri: str) -> tuple[str, str]: ...

    def model_name(self, uri: str) -> str: ...

    def check_compute(self, name: str) -> None: ...

    def check_size(self, name: str) -> None: ...

    def check_environment(self, environment_id: str) -> None: ...


@dataclass(frozen=True)
class CommandPlan:
    """What will run. inputs: {"value"} of a literal, {"container", "blob", "uri", "type"} of data, {"model"} of a
    registered model, {"trained"} of an output of the training; outputs: like data, with "mode"."""

    node: str
    component: str
    version: str
    command: str
    compute: str
    environment: str
    inputs: dict[str, dict[str, str]]
    outputs: dict[str, dict[str, str]]

    def to_doc(self) -> dict[str, Any]:
        return vars(self).copy()


def plan_command(name: str, node: Mapping[str, Any], workspace: CommandWorkspace) -> CommandPlan:
    """Check a command node and say what it runs. Raises: AzureError: 400 or 404, naming everything that is wrong."""
    component_id = str(node.get("componentId") or "")
    spec = workspace.command_component(component_id)
    inputs, outputs = node.get("inputs") or {}, node.get("outputs") or {}
    faults = _faults(spec, inputs, outputs)
    if faults:
        raise invalid(f"Node {name} cannot run: " + "; ".join(faults))
    # The SDK writes serverless compute as if it were a cluster: .../computes/serverless.
    compute = str(node.get("computeId") or "serverless").rpartition("/")[2].removeprefix("azureml:")
    if compute != "serverless":
        workspace.check_compute(compute)
    size = (node.get("resources") or {}).get("instance_type")
    if size:
        workspace.check_size(str(size))
    environment = str(spec.get("environment") or "")
    workspace.check_environment(environment)
    return CommandPlan(
        node=name,
        component=str(spec["name"]),
        version=component_id.rpartition("/")[2],
        command=without_missing(str(spec["command"]), inputs),
        compute=compute,
        environment=environment,
        inputs={key: _input(sent, workspace) for key, sent in inputs.items()},
        outputs={key: _output(sent, workspace) for key, sent in outputs.items()},
    )


def _faults(spec: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[str]:
    if str(spec.get("type")) != "command":
        return [f"its component is of type {spec.get('type')}, expected command"]
    declared = {"inputs": spec.get("inputs") or {}, "outputs": spec.get("outputs") or {}}
    faults = [
        f"{key} is not one of the component's {kind}"
        for kind, sent in (("inputs", inputs), ("outputs", outputs))
        for key in sent
        if key not in declared[kind]
    ]
    faults += [
        f"input {key} is required"
        for key, definition in declared["inputs"].items()
        if key not in inputs and definition.get("optional") != "True" and "default" not in definition
    ]
    faults += [f"output {key} needs a uri here" for key in declared["outputs"] if not _uri(outputs.get(key))]
    faults += [
        f"the command names {kind}.{key}, which the component does not declare"
        for kind, key in PLACEHOLDER.findall(str(spec.get("command") or ""))
        if key not in declared[kind]
    ]
    return faults


def without_missing(command: str, inputs: Collection[str]) -> str:
    """Leave out the bracketed parts of a command whose inputs were not all given, and the brackets of the others."""

    def part(match: re.Match[str]) -> str:
        named = [name for kind, name in PLACEHOLDER.findall(match[1]) if kind == "inputs"]
        return match[1] if all(name in inputs for name in named) else ""

    return OPTIONAL.sub(part, command)


def _input(sent: Any, workspace: CommandWorkspace) -> dict[str, str]:
    if isinstance(sent, dict) and "trained" in sent:
        return {"trained": str(sent["trained"])}
    uri = _uri(sent)
    if uri and sent.get("job_input_type") in _MODELS:
        workspace.model_name(uri)
        return {"model": uri}
    if not uri:
        return {"value": str(sent.get("value", "") if isinstance(sent, dict) else sent)}
    container, blob = workspace.blob(uri)
    kind = str(sent.get("job_input_type") or "uri_file")
    return {"container": container, "blob": blob, "uri": uri, "type": kind}


def _output(sent: Mapping[str, Any], workspace: CommandWorkspace) -> dict[str, str]:
    uri = _uri(sent)
    container, blob = workspace.blob(uri)
    kind, mode = str(sent.get("job_output_type") or "uri_folder"), str(sent.get("mode") or "ReadWriteMount")
    return {"container": container, "blob": blob, "uri": uri, "type": kind, "mode": mode}


def _uri(sent: Any) -> str:
    return str(sent.get("uri") or "") if isinstance(sent, dict) else ""


def invalid(message: str) -> AzureError:
    return AzureError(400, "UserError", message, inner=("BadArgument", "ArgumentInvalid"))
