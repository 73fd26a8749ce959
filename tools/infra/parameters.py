"""main.parameters.json and main.bicep: the same parameters, so for every module; the outputs that hooks ask azd for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import MAIN, PARAMETERS, Deployment, line_of
from tools.infra.hooks import scripts
from tools.infra.nodes import Declaration, File

_OUTPUT = re.compile(r"(?:\$|\$\{|\$env:)(AZURE_[A-Z0-9_]+|AZUREML_[A-Z0-9_]+|FINETUNE_[A-Z0-9_]+)")
_OF_AZD = frozenset(
    # Source: https://learn.microsoft.com/azure/developer/azure-developer-cli/manage-environment-variables
    {
        "AZURE_ENV_NAME",
        "AZURE_LOCATION",
        "AZURE_PRINCIPAL_ID",
        "AZURE_PRINCIPAL_TYPE",
        "AZURE_RESOURCE_GROUP",
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_TENANT_ID",
    }
)


def check(deployment: Deployment) -> Iterator[Complaint]:
    main = deployment.file(MAIN)
    yield from _values(deployment, main)
    yield from _outputs(deployment, main)
    for name in deployment.names:
        for module in deployment.file(name).of("module"):
            yield from _module(deployment, module, deployment.called(name, module))


def _module(deployment: Deployment, module: Declaration, called: File) -> Iterator[Complaint]:
    body = module.body
    while body is not None and body.kind in ("if", "loop"):
        body = body.parts[-1]
    entries = {key.parts: value for key, value in body.parts} if body is not None and body.kind == "object" else {}
    params = entries.get("params")
    given = {key.parts: key.where for key, _ in params.parts} if params is not None and params.kind == "object" else {}
    declared = {one.name: one for one in called.of("param")}
    for name, where in given.items():
        if name not in declared:
            yield Complaint(where, f"{called.name} has no parameter {name!r}", _some(declared), "Mend its name")
    for name, one in declared.items():
        if one.body is None and name not in given and not _is_optional(deployment, one.where):
            what = f"{module.name} is not given the parameter {name!r}"
            yield Complaint(module.where, what, f"every one that {called.name} has no default for", "Give it")


def _values(deployment: Deployment, main: File) -> Iterator[Complaint]:
    path = deployment.folder / PARAMETERS
    declared = {one.name: one for one in main.of("param")}
    try:
        text = path.read_text("utf-8")
        given = json.loads(text)["parameters"]
    except (OSError, ValueError, KeyError) as fault:
        expected = "JSON with an object `parameters`: azd replaces its ${...} by the environment's values"
        yield Complaint(Where(PARAMETERS, 1), f"it cannot be read ({type(fault).__name__})", expected, "Write it")
        return
    for name in given:
        if name not in declared:
            where = Where(PARAMETERS, line_of(text, name))
            yield Complaint(
                where, f"main.bicep has no parameter {name!r}", _some(declared), "Remove it, or mend its name"
            )
    for name, one in declared.items():
        if one.body is None and name not in given and not _is_optional(deployment, one.where):
            todo = f"Give it there, such as ${{AZURE_...}}, or a default in {MAIN}"
            yield Complaint(one.where, f"the parameter {name!r} has no value", f"one in {PARAMETERS}", todo)


def _outputs(deployment: Deployment, main: File) -> Iterator[Complaint]:
    """What a hook reads of azd's environment: azd puts there what it knows itself, and main.bicep's outputs."""
    known = {one.name for one in main.of("output")} | _OF_AZD
    for script in scripts(deployment.folder):
        name, text = script.relative_to(deployment.folder).as_posix(), script.read_text("utf-8")
        for variable in dict.fromkeys(_OUTPUT.findall(text)):
            if variable not in known and not re.search(rf"^\s*(?:export )?{variable}=", text, re.MULTILINE):
                line = text[: text.index(variable)].count("\n") + 1
                what = f"the hook reads {variable}, which nothing sets"
                yield Complaint(Where(name, line), what, f"an output of {MAIN}", "Add the output, or mend the name")


def _some(declared: Mapping[str, object]) -> str:
    return f"one of {', '.join(declared) or 'none'}"


def _is_optional(deployment: Deployment, where: Where) -> bool:
    """Tell whether a parameter's type ends with a question mark: null is a value for it."""
    line = (deployment.folder / where.file).read_text("utf-8").splitlines()[where.line - 1]
    return line.split("//")[0].rstrip().endswith("?")
