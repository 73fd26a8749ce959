"""What is read of resources and modules: that it is there, and that it is known when it is needed.

A region that is read of another resource becomes a reference(), for which it is too early: Bicep says BCP120, and
Resource Manager refuses the whole deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.infra.complaint import Complaint
from tools.infra.deployment import Deployment
from tools.infra.nodes import Declaration, File, Node
from tools.infra.resource_types import type_of

_AT_THE_START = ("name", "parent", "scope", "location", "tags", "kind", "sku", "identity", "plan", "zones", "managedBy")
"""What Resource Manager must know before anything is deployed. Source: Bicep's AzResourceTypeProvider."""
_READABLE_AT_THE_START = ("id", "name", "type", "apiVersion")


def check(deployment: Deployment) -> Iterator[Complaint]:
    for name in deployment.names:
        file = deployment.file(name)
        for declared in file.declarations.values():
            yield from _reads(deployment, file, declared)
            yield from _starts(file, declared)


def _within(parts: Any) -> Iterator[Node]:
    """Yield every expression in an expression, itself first."""
    if isinstance(parts, Node):
        yield parts
        yield from _within(parts.parts)
    elif isinstance(parts, list | tuple):
        for part in parts:
            yield from _within(part)


def _expressions(declared: Declaration) -> Iterator[Node]:
    yield from _within(declared.body)
    for nested in declared.nested:
        yield from _expressions(nested)


def _chain(node: Node) -> tuple[str, list[str]]:
    """Return the name that `a.b.c` or `a[0].b.c` begins with, and what is read of it."""
    path: list[str] = []
    while node.kind == "member":
        path.insert(0, node.parts[1])
        node = node.parts[0]
    node = node.parts[0] if node.kind == "index" else node
    return (node.parts, path) if node.kind == "name" else ("", [])


def _reads(deployment: Deployment, file: File, declared: Declaration) -> Iterator[Complaint]:
    for node in _expressions(declared):
        symbol, path = _chain(node)
        if not path or path[0].startswith("::"):
            continue
        if ("resource", symbol) in file.declarations:
            yield from _read_of_resource(file.declarations["resource", symbol], path, node)
        elif ("module", symbol) in file.declarations and path[0] == "outputs" and len(path) > 1:
            called = deployment.called(file.name, file.declarations["module", symbol])
            outputs = [one.name for one in called.of("output")]
            if path[1] not in outputs:
                expected = f"an output of {called.name}: {', '.join(outputs) or 'it has none'}"
                yield Complaint(node.where, f"{symbol} has no output {path[1]}", expected, "Mend its name")


def _read_of_resource(resource: Declaration, path: list[str], node: Node) -> Iterator[Complaint]:
    try:
        type_ = type_of(resource.target.partition("@")[0])
    except KeyError:
        return  # said of the resource
    for step in path:
        if type_ is None:
            return
        found = type_.step(step.lstrip("?"))
        if found is None:
            known = ", ".join(type_.shape or {})
            what = f"{node.source}: {type_.text} has no property {step}"
            yield Complaint(node.where, what, f"one of {known}", "Mend its name")
        type_ = found


def _starts(file: File, declared: Declaration) -> Iterator[Complaint]:
    """What a resource or module must have before anything is deployed does not depend on what is deployed."""
    for nested in declared.nested:
        yield from _starts(file, nested)
    if declared.kind not in ("resource", "module") or declared.body is None:
        return
    body, needed = declared.body, []
    while body.kind in ("if", "loop"):
        needed.append(body.parts[-2])
        body = body.parts[-1]
    keys = _AT_THE_START if declared.kind == "resource" else ("name", "scope")
    needed += [value for key, value in body.parts if key.parts in keys] if body.kind == "object" else []
    for node in (found for value in needed for found in _followed(file, value, frozenset())):
        if _is_late(file, node):
            what = f"{declared.name} needs {node.source} before anything is deployed"
            yield Complaint(node.where, what, "what a parameter, or id and name of a resource, can tell", "Pass it in")


def _is_late(file: File, node: Node) -> bool:
    symbol, path = _chain(node)
    if not path or path[0].startswith("::"):
        return False
    if ("module", symbol) in file.declarations:
        return path[0] == "outputs"
    return ("resource", symbol) in file.declarations and path[0] not in _READABLE_AT_THE_START


def _followed(file: File, value: Node, seen: frozenset[str]) -> Iterator[Node]:
    """Yield the expressions in an expression and in the variables that it names."""
    for node in _within(value):
        yield node
        if node.kind == "name" and node.parts not in seen and ("var", node.parts) in file.declarations:
            body = file.declarations["var", node.parts].body
            yield from _followed(file, body, seen | {node.parts}) if body is not None else ()
