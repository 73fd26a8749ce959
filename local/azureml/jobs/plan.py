"""From the pipeline a client sends to the one thing that is run: checked against the component's own inputs. Pure.

The SDK checks neither types nor enums nor ranges of literals; the service does, when the component starts or before.
Here all faults are found at once, when the job is put.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from local.azureml.jobs.command_plan import CommandPlan, CommandWorkspace, plan_command
from local.azureml.jobs.command_plan import invalid as _invalid

COMPONENT = "chat_completion_pipeline"
# The component's nodes in the order they run, with the components behind them (chat_completion_pipeline 0.0.82).
STEPS = (
    ("ft_nlp_common_validation", "ft_nlp_common_validation", "0.0.80"),
    ("chat_completion_model_import", "chat_completion_model_import", "0.0.81"),
    ("chat_completion_datapreprocess", "chat_completion_datapreprocess", "0.0.80"),
    ("chat_completion_finetune", "chat_completion_finetune", "0.0.81"),
    ("ft_nlp_model_converter", "ft_nlp_model_converter", "0.0.80"),
)
_COMPUTE_INPUTS = ("compute_model_import", "compute_preprocess", "compute_finetune")
_MODEL_INPUTS = ("mlflow_model_path", "pytorch_model_path")
_REGISTRY_COMPONENT = re.compile(r"azureml://registries/([^/]+)/components/([^/]+)/(?:versions|labels)/([^/]+)", re.I)
_PARENT_INPUT = re.compile(r"\$\{\{parent\.inputs\.([^}]+)\}\}")
_SIBLING_OUTPUT = re.compile(r"\$\{\{parent\.jobs\.([^.}]+)\.outputs\.([^}]+)\}\}")
_PARENT_OUTPUT = re.compile(r"\$\{\{parent\.outputs\.([^}]+)\}\}")

Properties = Mapping[str, Any]


class Workspace(CommandWorkspace, Protocol):
    """What a job can refer to. Every lookup raises AzureError in Azure's words when the thing is not there."""

    def component(self, registry: str, name: str, version: str) -> Mapping[str, Any]: ...

    def model_name(self, uri: str) -> str: ...


@dataclass(frozen=True)
class Plan:
    """What will run. `files` maps an input to the blob behind it; `outputs` a pipeline output to the component's.

    `command`: a command node that runs first; `after`: one that runs when the training has ended.
    """

    node: str
    inputs: dict[str, str]
    files: dict[str, dict[str, str]]
    outputs: dict[str, str]
    requested_model: str
    command: CommandPlan | None = None
    after: CommandPlan | None = None


def make_plan(properties: Properties, workspace: Workspace) -> Plan:
    """Check the pipeline and say what it runs.

    Raises: AzureError: 400 or 404, naming everything that is wrong.
    """
    node_name, node, command, behind = _nodes(properties, workspace)
    component_id = str(node.get("componentId") or "")
    match = _REGISTRY_COMPONENT.fullmatch(component_id)
    if match is None:
        raise _invalid(f"Node {node_name}: this service runs registry components only, not {component_id!r}.")
    spec = workspace.component(*match.groups())
    sent = {
        name: _resolve(value, properties, command, f"{node_name}.{name}") for name, value in _inputs_of(node).items()
    }
    faults = _unknown_and_missing(spec["inputs"], sent)
    values, files = _defaults(spec["inputs"]), dict[str, dict[str, str]]()
    for name, value in sent.items():
        if name not in spec["inputs"]:
            continue
        values[name] = str(value.get("uri") or value.get("value") or "")
        faults += _faults(name, spec["inputs"][name], values[name], is_uri="uri" in value)
    if faults:
        raise _invalid(f"Component {spec['name']} version {spec['version']} refuses the inputs: " + "; ".join(faults))
    for name, text in values.items():
        if spec["inputs"][name]["type"] == "uri_file":
            container, blob = workspace.blob(text)
            files[name] = {"container": container, "blob": blob, "uri": text}
    for name in _COMPUTE_INPUTS:
        if values.get(name, "serverless") != "serverless":
            workspace.check_compute(values[name])
    outputs = _outputs(node, properties, spec)
    after = None
    if behind is not None:
        after = _plan_after(behind, (node_name, spec), properties, command, workspace)
    return Plan(node_name, values, files, outputs, _requested_model(values, workspace), command, after)


def _nodes(
    properties: Properties, workspace: Workspace
) -> tuple[str, Mapping[str, Any], CommandPlan | None, str | None]:
    """Answer the node that trains, the command node in front of it and the name of the one behind it, if there are."""
    if properties.get("jobType") != "Pipeline":
        raise _invalid(f"jobType {properties.get('jobType')!r}: this service runs jobs of type Pipeline only.")
    nodes = properties.get("jobs") or {}
    for name, node in nodes.items():
        if not isinstance(node, dict):
            raise _invalid(f"Node {name} is not an object.")
    commands = [name for name, node in nodes.items() if node.get("type") == "command"]
    trainings = [name for name in nodes if name not in commands]
    behind = [name for name in commands if trainings and _reads(nodes[name], trainings[0])]
    first = [name for name in commands if name not in behind]
    if len(trainings) != 1 or len(first) > 1 or len(behind) > 1:
        raise _invalid(
            f"The pipeline has {len(nodes)} nodes; this service runs pipelines of one {COMPONENT} node, "
            "with at most one command node in front of it and one behind it."
        )
    command = plan_command(first[0], nodes[first[0]], workspace) if first else None
    return trainings[0], nodes[trainings[0]], command, behind[0] if behind else None


def _reads(node: Mapping[str, Any], other: str) -> bool:
    values = [value.get("value", "") for value in _inputs_of(node).values() if isinstance(value, dict)]
    matches = [_SIBLING_OUTPUT.fullmatch(str(value)) for value in values]
    return any(match[1] == other for match in matches if match)


def _plan_after(
    name: str,
    training: tuple[str, Mapping[str, Any]],
    properties: Properties,
    command: CommandPlan | None,
    workspace: Workspace,
) -> CommandPlan:
    """Check the command node behind the training: it reads what the training and the node before it made."""
    node = properties["jobs"][name]
    trained, spec = training
    inputs: dict[str, Any] = {}
    for key, value in _inputs_of(node).items():
        sibling = _SIBLING_OUTPUT.fullmatch(str(value.get("value", ""))) if isinstance(value, dict) else None
        if sibling is None or sibling[1] != trained:
            inputs[key] = _resolve(value, properties, command, f"{name}.{key}")
        elif sibling[2] in spec["outputs"]:
            inputs[key] = {"trained": sibling[2]}
        else:
            raise _invalid(f"Input {name}.{key} refers to output {sibling[2]!r} of {trained}, which does not have it.")
    return plan_command(name, {**node, "inputs": inputs}, workspace)


def _inputs_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return node.get("inputs") or {}


def _resolve(value: Any, properties: Properties, command: CommandPlan | None, at: str) -> Mapping[str, Any]:
    """Follow ${{parent.inputs.NAME}} to the pipeline's own input, ${{parent.jobs.NODE.outputs.NAME}} to a result."""
    if not isinstance(value, dict):
        raise _invalid(f"Input {at} must be an object with job_input_type, not {value!r}.")
    sibling = _SIBLING_OUTPUT.fullmatch(str(value.get("value", "")))
    if sibling is not None:
        return _result(command, *sibling.groups(), at=at)
    match = _PARENT_INPUT.fullmatch(str(value.get("value", "")))
    if match is None:
        return value
    parent = (properties.get("inputs") or {}).get(match[1])
    if not isinstance(parent, dict):
        raise _invalid(f"Input {at} refers to the pipeline's input {match[1]!r}, which it does not have.")
    return parent


def _result(command: CommandPlan | None, node: str, output: str, *, at: str) -> Mapping[str, Any]:
    if command is None or command.node != node or output not in command.outputs:
        raise _invalid(f"Input {at} refers to output {output!r} of node {node!r}, which does not have it.")
    return {"uri": command.outputs[output]["uri"], "job_input_type": command.outputs[output]["type"]}


def _unknown_and_missing(spec: Mapping[str, Any], sent: Mapping[str, Any]) -> list[str]:
    unknown = [f"{name} is not an input of the component" for name in sent if name not in spec]
    missing = [
        f"{name} is required"
        for name, definition in spec.items()
        if definition.get("optional") != "True" and "default" not in definition and name not in sent
    ]
    if not any(name in sent for name in (*_MODEL_INPUTS, "huggingface_id")):
        missing.append("one of mlflow_model_path, pytorch_model_path, huggingface_id is required")
    if not any(name in sent for name in ("train_file_path", "train_mltable_path")):
        missing.append("one of train_file_path, train_mltable_path is required")
    return unknown + missing


def _defaults(spec: Mapping[str, Any]) -> dict[str, str]:
    return {name: definition["default"] for name, definition in spec.items() if "default" in definition}


def _faults(name: str, spec: Mapping[str, Any], text: str, *, is_uri: bool) -> list[str]:
    kind = spec["type"]
    if kind in ("integer", "number"):
        return _number_faults(name, spec, text)
    if kind in ("string", "boolean"):
        return [f"{name} takes a {kind}, not a data asset"] if is_uri else _enum_faults(name, spec, text)
    if kind == "mltable":
        return [f"{name}: this service reads uri_file inputs only, not mltable"]
    return [] if is_uri and text else [f"{name} takes a {kind} asset, not the literal {text!r}"]


def _number_faults(name: str, spec: Mapping[str, Any], text: str) -> list[str]:
    try:
        number = int(text) if spec["type"] == "integer" else float(text)
    except ValueError:
        return [f"{name} must be of type {spec['type']}, found {text!r}"]
    if not math.isfinite(number):
        return [f"{name} must be finite, found {text!r}"]
    if "min" in spec and number < float(spec["min"]):
        return [f"{name} must be >= {spec['min']}, found {text}"]
    if "max" in spec and number > float(spec["max"]):
        return [f"{name} must be <= {spec['max']}, found {text}"]
    return []


def _enum_faults(name: str, spec: Mapping[str, Any], text: str) -> list[str]:
    allowed = spec.get("enum") or (["True", "False", "true", "false"] if spec["type"] == "boolean" else None)
    if allowed and text not in allowed:
        return [f"{name} must be one of {', '.join(map(str, allowed))}, found {text!r}"]
    return []


def _outputs(node: Mapping[str, Any], properties: Properties, spec: Mapping[str, Any]) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for name, value in (node.get("outputs") or {}).items():
        if name not in spec["outputs"]:
            raise _invalid(f"{name} is not an output of component {spec['name']} version {spec['version']}.")
        match = _PARENT_OUTPUT.fullmatch(str(value.get("value", ""))) if isinstance(value, dict) else None
        if match is None:
            continue
        if match[1] not in (properties.get("outputs") or {}):
            raise _invalid(f"Output {name} goes to the pipeline's output {match[1]!r}, which it does not have.")
        outputs[match[1]] = name
    return outputs


def _requested_model(values: Mapping[str, str], workspace: Workspace) -> str:
    for name in _MODEL_INPUTS:
        if name in values:
            return workspace.model_name(values[name])
    return values["huggingface_id"]
