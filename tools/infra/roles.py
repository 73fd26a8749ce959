"""Roles: every operation that an identity asks for is allowed, and nothing is allowed that it does not ask for.

An identity is told by what carries it: the function app, the workspace, a cluster, an Event Grid topic. Where a role
holds (its scope) is not calculated: that a role on one storage account is needed on that one, people have to see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment, Resource
from tools.infra.operations import Operation, operations
from tools.infra.values import Ref, Value

_ASSIGNMENT, _DEFINITION = "Microsoft.Authorization/roleAssignments", "Microsoft.Authorization/roleDefinitions"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_CARRIERS = {
    # Who asks, by the type of what carries the identity. Compared without case.
    "microsoft.web/sites": "app",
    "microsoft.machinelearningservices/workspaces": "workspace",
    "microsoft.machinelearningservices/workspaces/computes": "job",
    "microsoft.eventgrid/systemtopics": "eventgrid",
    "microsoft.eventgrid/topics": "eventgrid",
}
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BUILTIN = Path(__file__).with_name("builtin_roles.json")
PERSON = "person"
"""Whoever deploys; what people may do is for people to decide."""


@dataclass
class Role:
    """What a role allows. where: where its actions are written, for a role of our own; None for Azure's own."""

    name: str
    actions: list[Value]
    data: list[Value]
    denied: list[str] = field(default_factory=list)
    own: Resource | None = None

    def allows(self, operation: Operation) -> bool:
        patterns = self.data if operation.data else self.actions
        return any(_matches(text, operation.name) for one in patterns for text in one.texts) and not any(
            _matches(text, operation.name) for text in self.denied
        )


@dataclass
class Assignment:
    """One role of one identity. who: as operations.json calls it; several when they share the identity."""

    resource: Resource
    role: Role
    who: set[str]


def check(deployment: Deployment) -> Iterator[Complaint]:
    assignments: list[Assignment] = []
    unclear: set[str] = set()
    carriers = _carriers(deployment)
    for one in deployment.of(_ASSIGNMENT):
        found, who = list(_roles_of(one)), _who(one, carriers)
        assignments += [Assignment(one, role, who) for role in found]
        if not found:
            # What this role allows is not known, so that what its identity lacks is not known either.
            unclear |= who
            yield _unknown_role(one)
        if not who:
            yield _unknown_identity(one)
    yield from _missing(deployment, assignments, unclear)
    for assignment in assignments:
        yield from _idle(assignment)
    yield from _own_roles(deployment, assignments)


def _missing(deployment: Deployment, assignments: list[Assignment], unclear: set[str]) -> Iterator[Complaint]:
    where = next((one.where for one in deployment.of(_ASSIGNMENT)), Where("infra/main.bicep", 1))
    deployed = {"app"}.union(*_carriers(deployment).values()) - unclear
    lacking: dict[tuple[str, str, bool], list[Operation]] = {}
    for operation in operations():
        mine = [one for one in assignments if operation.who in one.who]
        if operation.who in deployed and not any(one.role.allows(operation) for one in mine):
            lacking.setdefault((operation.who, operation.kind, operation.data), []).append(operation)
    for (who, _, is_data), several in lacking.items():
        mine = [one for one in assignments if who in one.who]
        what = f"no role of the {who} allows {', '.join(one.name for one in several)}"
        expected = f"one that does: {'; '.join(dict.fromkeys(one.why for one in several))}"
        todo = f"Add it to the {'dataActions' if is_data else 'actions'} of a role of our own, or give one of Azure's"
        yield Complaint(_nearest(mine, several[0].name) or where, what, expected, todo)


def _nearest(mine: list[Assignment], name: str) -> Where | None:
    """Return where an operation would be written: beside the one of an own role that has most in common with it."""
    own = [action for one in mine if one.role.own is not None for action in (*one.role.actions, *one.role.data)]
    alike = max(own, key=lambda action: _alike(name, *action.texts[:1]), default=None)
    if alike is not None:
        return alike.where
    return mine[0].resource.where if mine else None


def _idle(one: Assignment) -> Iterator[Complaint]:
    """A role that allows nothing which its identity asks for."""
    if one.role.own is None and one.who and PERSON not in one.who:
        asked = [operation for operation in operations() if operation.who in one.who]
        if not any(one.role.allows(operation) for operation in asked):
            what = f"{one.resource.symbol} gives {one.role.name} to the {' and '.join(sorted(one.who))}"
            expected = "a role of which it needs an operation (tools/infra/operations.json)"
            yield Complaint(one.resource.where, what, expected, "Remove it, or add the operation with its reason")


def _own_roles(deployment: Deployment, assignments: list[Assignment]) -> Iterator[Complaint]:
    for definition in deployment.of(_DEFINITION):
        role = _own_role(definition)
        mine = [one for one in assignments if one.role.own is not None and one.role.own.identity == definition.identity]
        if not mine:
            yield Complaint(definition.where, f"nobody has the role {role.name}", "an assignment of it", "Assign it")
            continue
        who = set[str]().union(*(one.who for one in mine))
        for is_data, actions in ((False, role.actions), (True, role.data)):
            for action in actions:
                yield from _action(action, is_data, who)


def _action(action: Value, is_data: bool, who: set[str]) -> Iterator[Complaint]:
    asked = [one for one in operations() if one.who in who and one.data == is_data]
    for text in action.texts:
        if "*" in text:
            yield Complaint(action.where, f"{text} allows more than can be listed", "operations by name", "Name them")
        elif not any(_matches(text, one.name) for one in asked):
            what = f"nothing asks for {text}"
            expected = f"only what the {' and '.join(sorted(who))} asks for (tools/infra/operations.json)"
            yield Complaint(action.where, what, expected, "Remove it, or add the operation with its reason")


def _matches(pattern: str, name: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _alike(name: str, other: str = "") -> int:
    """Count the leading parts that two operations have in common."""
    return next((i for i, (a, b) in enumerate(zip(name.split("/"), other.split("/"), strict=False)) if a != b), 99)


# --- who, and which role -------------------------------------------------------------------------------------------


def _carriers(deployment: Deployment) -> dict[tuple[str, ...], set[str]]:
    """Return who each identity is: the resources that have one of their own, and the user-assigned they carry."""
    found: dict[tuple[str, ...], set[str]] = {}
    for one in deployment.resources:
        who = _CARRIERS.get(one.kind.lower())
        identity = one.at("identity")
        if who is None or identity is None:
            continue
        found.setdefault(one.identity, set()).add(who)
        for carried in _carried(deployment, identity):
            # What a workspace carries besides its own is for jobs that run without a cluster.
            found.setdefault(carried.identity, set()).add("job" if who == "workspace" else who)
    return found


def _carried(deployment: Deployment, identity: Value) -> Iterator[Resource]:
    """Yield the user-assigned identities of an `identity`: their ids are the keys of an object."""
    keys = list((identity.at("userAssignedIdentities") or identity).entries)
    for one in deployment.of(_IDENTITY, existing=True):
        if any(
            f"${{{one.symbol}.id}}" == key or key.endswith((f".{one.symbol}.id}}", f"/{one.symbol}")) for key in keys
        ):
            yield one


def _who(assignment: Resource, carriers: dict[tuple[str, ...], set[str]]) -> set[str]:
    principal = assignment.at("properties", "principalId")
    found: set[str] = set()
    for one in principal.alternatives if principal is not None else []:
        carrier = one.data.resource if isinstance(one.data, Ref) else None
        if carrier is None:
            found.add(PERSON)  # a parameter
        else:
            found |= carriers.get(carrier.identity, set())
    return found


def _roles_of(assignment: Resource) -> Iterator[Role]:
    said = assignment.at("properties", "roleDefinitionId")
    for ref in said.refs if said is not None else []:
        if ref.resource is not None and ref.resource.existing:
            yield from (_builtin()[name] for name in ref.resource.names if name in _builtin())
        elif ref.resource is not None:
            yield _own_role(ref.resource)
    for text in said.texts if said is not None else []:
        yield from (_builtin()[found.lower()] for found in _GUID.findall(text) if found.lower() in _builtin())


def _own_role(definition: Resource) -> Role:
    name = definition.at("properties", "roleName")
    permissions = definition.at("properties", "permissions")
    role = Role(name.texts[0] if name and name.texts else definition.symbol, [], [], [], definition)
    for permission in permissions.items if permissions is not None else []:
        role.actions += _list(permission, "actions")
        role.data += _list(permission, "dataActions")
        role.denied += [t for key in ("notActions", "notDataActions") for v in _list(permission, key) for t in v.texts]
    return role


def _list(permission: Value, key: str) -> list[Value]:
    found = permission.at(key)
    return found.items if found is not None else []


@lru_cache(maxsize=1)
def _builtin() -> dict[str, Role]:
    where = Where(_BUILTIN.name, 1)
    listed = json.loads(_BUILTIN.read_text("utf-8"))["roles"]
    return {
        guid: Role(
            one["name"],
            [Value(text, where) for text in one["actions"]],
            [Value(text, where) for text in one["dataActions"]],
            one.get("notActions", []),
        )
        for guid, one in listed.items()
    }


def _unknown_role(one: Resource) -> Complaint:
    said = one.at("properties", "roleDefinitionId")
    what = f"{one.symbol} gives the role {' or '.join(said.texts) if said else '(none)'}, of which nothing is known"
    expected = "a role of infra/, or one of Azure's that tools/infra/builtin_roles.json lists"
    return Complaint(one.where, what, expected, "Mend the id, or add Azure's role to that file")


def _unknown_identity(one: Resource) -> Complaint:
    said = one.at("properties", "principalId")
    what = f"{one.symbol} gives a role to {' or '.join(said.texts) if said else 'nobody'}, which nothing carries"
    expected = "the identity of the function app, the workspace, a cluster or an Event Grid topic"
    return Complaint(one.where, what, expected, "Give the identity to what uses it, or remove the assignment")
