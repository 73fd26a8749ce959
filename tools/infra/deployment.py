"""A folder of Bicep as what it deploys: every resource of every module, with its properties and who refers to it."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tools.infra.complaint import Complaint, Where
from tools.infra.nodes import Declaration, File, Node
from tools.infra.syntax import parse
from tools.infra.values import Ref, Value, chosen, evaluate, plain

MAIN, PARAMETERS = "infra/main.bicep", "infra/main.parameters.json"
_FROM_AZD = re.compile(r"\$\{(?P<name>\w+)(?:=(?P<default>[^}]*))?\}")


@dataclass(eq=False)
class Resource:
    """One resource, or one turn of a loop of them."""

    symbol: str
    kind: str
    """Its whole type without the API version, as Azure spells it: Microsoft.Storage/storageAccounts."""
    where: Where
    existing: bool
    owner: Resource | None
    _node: Node
    _scope: Scope
    _local: dict[str, Value]
    children: list[Resource] = field(default_factory=list)

    @cached_property
    def body(self) -> Value:
        return evaluate(self._node, self._scope, self._local)

    @property
    def name(self) -> Value:
        """Its name as it is written: with slashes when it stands outside its parent."""
        return self.body.at("name") or Value(Ref(f"{self.symbol}.name"), self.where)

    @property
    def names(self) -> list[str]:
        """The last part of each name it can have."""
        return [_last(text) for text in self.name.texts]

    @cached_property
    def parent(self) -> Resource | None:
        """The resource it is a part of: the one around it, or the one that `parent` names."""
        if self.owner is not None:
            return self.owner
        said = self.body.at("parent")
        return next((ref.resource for ref in said.refs), None) if said is not None else None

    @property
    def scopes(self) -> list[Resource]:
        """What it is attached to, for what has a scope: role assignments, diagnostic settings."""
        said = self.body.at("scope")
        return [ref.resource for ref in said.refs if ref.resource is not None] if said is not None else []

    def at(self, *path: str) -> Value | None:
        return self.body.at(*path)

    def child(self, symbol: str) -> Resource | None:
        return next((one for one in self.children if one.symbol == symbol), None)

    @property
    def identity(self) -> tuple[str, ...]:
        """Tell the thing in Azure: two declarations of one name (one of them `existing`) are the same thing."""
        return (self.kind.lower(), *self.name.texts[:1])


def _last(text: str) -> str:
    """Return what follows the last slash that is not within `${}`."""
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if letter == "/" and depth == 0:
            start = place + 1
    return text[start:]


class Scope:
    """One file with values for its parameters: a module as one other file calls it, or a file of its own."""

    def __init__(self, deployment: Deployment, file: File, arguments: dict[str, Value]) -> None:
        self._deployment, self.file, self._arguments = deployment, file, arguments
        self._known: dict[str, Value | None] = {}
        self._called: dict[str, list[Scope]] = {}

    def beside(self, name: str) -> str:
        """Return how a file that this one names is called from the folder's root."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.file.name), name))

    def read(self, name: str) -> str:
        return (self.file.path.parent / name).read_text("utf-8")

    def symbol(self, name: str) -> Value | None:
        """Return what a name stands for; None when nothing of this file has it."""
        if name not in self._known:
            self._known[name] = Value(Ref(name), Where(self.file.name, 1))  # a ring of names ends here
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: str) -> Value | None:
        for kind in ("param", "var"):
            if (kind, name) in self.file.declarations:
                return self._value(kind, self.file.declarations[kind, name])
        if ("resource", name) in self.file.declarations:
            where = self.file.declarations["resource", name].where
            found = [Value(Ref(name, one), where) for one in self.resources_of(name)]
            return chosen(found) if found else None
        if ("module", name) in self.file.declarations:
            return self._outputs(self.file.declarations["module", name])
        return self._imported(name)

    def _value(self, kind: str, declared: Declaration) -> Value:
        if kind == "param" and declared.name in self._arguments:
            return self._arguments[declared.name]
        if declared.body is None:
            return Value(Ref(declared.name), declared.where)
        return evaluate(declared.body, self)

    def _imported(self, name: str) -> Value | None:
        for statement in self.file.imports:
            if name in statement.imported:
                there = Scope(self._deployment, self._deployment.file(self.beside(statement.target)), {})
                return there.symbol(statement.imported[name])
        return None

    def _outputs(self, declared: Declaration) -> Value:
        scopes = self.called(declared)
        found: dict[str, Value] = {}
        for scope in scopes[:1]:
            for output in scope.file.of("output"):
                body = Value(Ref(output.name), output.where) if output.body is None else evaluate(output.body, scope)
                found[output.name] = body
        outputs = Value(found, declared.where)
        return Value({"outputs": outputs, "name": Value(Ref(f"{declared.name}.name"), declared.where)}, declared.where)

    def called(self, declared: Declaration) -> list[Scope]:
        """Return a module's file with the parameters it is called with, for each turn of its loop."""
        if declared.name not in self._called:
            file = self._deployment.file(self.beside(declared.target))
            self._called[declared.name] = [
                Scope(self._deployment, file, dict(params.entries) if (params := body.at("params")) else {})
                for body in self._turns(declared.body)
            ]
        return self._called[declared.name]

    def _turns(self, node: Node | None) -> list[Value]:
        if node is None:
            return []
        value = evaluate(node, self)
        return value.items if node.kind == "loop" else [value]

    @cached_property
    def resources(self) -> list[Resource]:
        """Every resource of this file, nested ones after their owner."""
        return [one for declared in self.file.of("resource") for one in self._resources(declared, None)]

    def resources_of(self, symbol: str) -> list[Resource]:
        return [one for one in self.resources if one.symbol == symbol and one.owner is None]

    def _resources(self, declared: Declaration, owner: Resource | None) -> Iterator[Resource]:
        kind = declared.target.partition("@")[0]
        kind = kind if owner is None else f"{owner.kind}/{kind}"
        if declared.body is None:
            return
        for node, local in _turns_of(declared.body, self, {} if owner is None else owner._local):
            one = Resource(declared.name, kind, declared.where, declared.existing, owner, node, self, local)
            if owner is not None:
                owner.children.append(one)
            yield one
            for nested in declared.nested:
                yield from self._resources(nested, one)


def _turns_of(node: Node, scope: Scope, local: dict[str, Value]) -> Iterator[tuple[Node, dict[str, Value]]]:
    if node.kind == "if":
        yield from _turns_of(node.parts[1], scope, local)
    elif node.kind == "loop":
        names, over, body = node.parts
        for place, item in enumerate(evaluate(over, scope, local).items or [Value(Ref(names[0]), node.where)]):
            more = {names[0]: item} | ({names[1]: Value(place, node.where)} if len(names) > 1 else {})
            yield from _turns_of(body, scope, {**local, **more})
    else:
        yield node, local


def _given(folder: Path) -> dict[str, Value]:
    """Return what azd gives to main.bicep: the value in the parameters' file, or the default of its ${NAME=default}."""
    path = folder / PARAMETERS
    text = path.read_text("utf-8") if path.is_file() else "{}"
    try:
        given = json.loads(text).get("parameters", {})
    except ValueError:
        return {}  # parameters.py says so
    found = {}
    for name, one in given.items():
        value, where = one.get("value"), Where(PARAMETERS, line_of(text, name))
        match = _FROM_AZD.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            found[name] = plain(value, where)
        else:
            found[name] = Value(Ref(match["name"]) if match["default"] is None else match["default"], where)
    return found


def line_of(text: str, key: str) -> int:
    """Return the line of a key in a JSON text."""
    lines = text.splitlines()
    return next((i for i, line in enumerate(lines, start=1) if re.search(rf'"{re.escape(key)}"\s*:', line)), 1)


class Deployment:
    """All Bicep of a folder: `infra/main.bicep` and what it calls, and files that stand by themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, File] = {}
        self.names = sorted(path.relative_to(folder).as_posix() for path in (folder / "infra").rglob("*.bicep"))

    def file(self, name: str) -> File:
        """Return a parsed file. Raises: FileNotFoundError."""
        if name not in self._files:
            self._files[name] = parse(self.folder / name, name)
        return self._files[name]

    def called(self, name: str, statement: Declaration) -> File:
        """Return the file that a module or an import of a file names."""
        return self.file(posixpath.normpath(posixpath.join(posixpath.dirname(name), statement.target)))

    @cached_property
    def scopes(self) -> list[Scope]:
        """Every file as it is called. A file that nothing calls is deployed by itself, with its own defaults."""
        files = [self.file(name) for name in self.names]
        used = {
            posixpath.normpath(posixpath.join(posixpath.dirname(file.name), one.target))
            for file in files
            for one in [*file.of("module"), *file.imports]
        }
        found: list[Scope] = []
        given = {MAIN: _given(self.folder)}
        todo = [Scope(self, file, given.get(file.name, {})) for file in files if file.name not in used]
        while todo:
            scope = todo.pop(0)
            found.append(scope)
            for module in scope.file.of("module"):
                todo += scope.called(module)
        return found

    @cached_property
    def resources(self) -> list[Resource]:
        return [one for scope in self.scopes for one in scope.resources]

    def of(self, kind: str, *, existing: bool = False) -> list[Resource]:
        """Return the resources of one type that this deploys; with `existing` those it only refers to as well."""
        return [one for one in self.resources if one.kind.lower() == kind.lower() and (existing or not one.existing)]

    def faults(self) -> list[Complaint]:
        """Say what could not be read, and which modules are not there."""
        found = []
        for name in self.names:
            file = self.file(name)
            found += file.faults[:1]  # what follows may be its consequence
            for module in [*file.of("module"), *file.imports]:
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), module.target))
                if not (self.folder / target).is_file():
                    what = f"module {module.target!r} is not there"
                    found.append(Complaint(module.where, what, f"a file {target}", "Write the file, or mend the path"))
        return found
