"""What Bicep's expressions can be, as far as the files say it themselves.

No condition is decided: a ternary is a choice of both sides, and a resource under an `if` is there. What only Azure
knows (ids, hosts, keys, parameters without a default) stays a reference, which reads in a text as its own source:
`${app.id}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from tools.infra.complaint import Where
from tools.infra.nodes import Node

if TYPE_CHECKING:
    from tools.infra.deployment import Resource, Scope

MOST_TEXTS = 64


@dataclass(frozen=True)
class Ref:
    """Something that is known when it is deployed. resource: the resource whose property it is, if it is one's."""

    text: str
    resource: Resource | None = None
    path: str = ""


@dataclass(frozen=True)
class Choice:
    """One of several values; which one, a parameter decides."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Value:
    """A value and where it is written. data: str, int, bool, None, dict[str, Value], list[Value], Ref or Choice.

    key: where its key is written, for an object's entry: in another file, maybe, when a parameter brings the value.
    """

    data: Any
    where: Where
    key: Where | None = None

    @property
    def alternatives(self) -> list[Value]:
        """Every value that this can be, no choice among them."""
        if isinstance(self.data, Choice):
            return [one for value in self.data.values for one in value.alternatives]
        return [self]

    @property
    def entries(self) -> dict[str, Value]:
        """The entries of an object; of several objects to choose from, all of theirs."""
        found: dict[str, list[Value]] = {}
        for one in self.alternatives:
            if isinstance(one.data, dict):
                for key, value in one.data.items():
                    found.setdefault(key, []).append(value)
        return {key: chosen(values) for key, values in found.items()}

    @property
    def items(self) -> list[Value]:
        """The items of an array; of several arrays to choose from, all of theirs."""
        return [item for one in self.alternatives if isinstance(one.data, list) for item in one.data]

    @property
    def texts(self) -> list[str]:
        """Every text that this can be; references in `${}`. Empty for null, objects and arrays."""
        return [text for one in self.alternatives if (text := _as_text(one.data)) is not None]

    @property
    def refs(self) -> list[Ref]:
        return [one.data for one in self.alternatives if isinstance(one.data, Ref)]

    def at(self, *path: str) -> Value | None:
        """Return the value at a path of keys, None when nothing is there."""
        value: Value | None = self
        for key in path:
            value = value.entries.get(key) if value is not None else None
        return value


def chosen(values: Iterable[Value]) -> Value:
    """Return the one value, or the choice among several."""
    several = tuple(values)
    return several[0] if len(several) == 1 else Value(Choice(several), several[0].where, several[0].key)


def plain(data: Any, where: Where) -> Value:
    """Return JSON as values, all at one place."""
    if isinstance(data, dict):
        return Value({key: plain(value, where) for key, value in data.items()}, where)
    if isinstance(data, list):
        return Value([plain(value, where) for value in data], where)
    return Value(data, where)


def _as_text(data: Any) -> str | None:
    if isinstance(data, Ref):
        return f"${{{data.text}}}"
    if isinstance(data, bool):
        return str(data).lower()
    return str(data) if isinstance(data, str | int) else None


def evaluate(node: Node, scope: Scope, local: Mapping[str, Value] | None = None) -> Value:
    """Return what an expression can be. local: the variables of loops and lambdas around it."""
    return Evaluation(scope, local or {}).of(node)


class Evaluation:
    """Expressions in one file, with the variables of the loops and lambdas around them."""

    def __init__(self, scope: Scope, local: Mapping[str, Value]) -> None:
        self.scope, self._local = scope, local

    def of(self, node: Node) -> Value:
        data = getattr(self, f"_{node.kind}", self._unknown)(node)
        return data if isinstance(data, Value) else Value(data, node.where)

    def _within(self, **more: Value) -> Evaluation:
        return Evaluation(self.scope, {**self._local, **more})

    def _unknown(self, node: Node) -> Ref:
        return Ref(node.source)

    def _number(self, node: Node) -> Any:
        return node.parts

    _bool = _null = _number

    def _text(self, node: Node) -> Any:
        parts = [[part] if isinstance(part, str) else self.of(part).texts or [""] for part in node.parts]
        texts = list(dict.fromkeys("".join(one) for one in islice(product(*parts), MOST_TEXTS)))
        return chosen([Value(text, node.where) for text in texts])

    def _name(self, node: Node) -> Any:
        if node.parts in self._local:
            return self._local[node.parts]
        return self.scope.symbol(node.parts) or Ref(node.source)

    def _object(self, node: Node) -> Any:
        found: dict[str, Value] = {}
        for key, value in node.parts:
            names = [key.parts] if key.kind == "name" else self.of(key).texts
            found.update(dict.fromkeys(names, replace(self.of(value), key=key.where)))
        return found

    def _array(self, node: Node) -> Any:
        return [self.of(part) for part in node.parts]

    def _choice(self, node: Node) -> Value:
        return chosen([self.of(part) for part in node.parts])

    def _if(self, node: Node) -> Value:
        return self.of(node.parts[1])

    def _loop(self, node: Node) -> Any:
        names, over, body = node.parts
        items = self.of(over).items or [Value(Ref(names[0]), node.where)]
        found = []
        for place, item in enumerate(items):
            more = {names[0]: item} | ({names[1]: Value(place, node.where)} if len(names) > 1 else {})
            found.append(self._within(**more).of(body))
        return found

    def _member(self, node: Node) -> Any:
        owner, name = node.parts
        return chosen([self._property(one, name, node) for one in self.of(owner).alternatives])

    def _property(self, owner: Value, name: str, node: Node) -> Value:
        if isinstance(owner.data, dict):
            entry: Value = owner.data.get(name, Value(None, node.where))
            return entry
        if not isinstance(owner.data, Ref):
            return Value(Ref(node.source), node.where)
        ref = owner.data
        if ref.resource is None:
            return Value(Ref(f"{ref.text}.{name}"), node.where)
        if name.startswith("::"):
            child = ref.resource.child(name[2:])
            return Value(Ref(f"{ref.text}{name}", child), node.where)
        if name == "name" and not ref.path:
            return ref.resource.name
        path = f"{ref.path}.{name}" if ref.path else name
        return Value(Ref(f"{ref.text}.{name}", ref.resource, path), node.where)

    def _index(self, node: Node) -> Any:
        owner, index = self.of(node.parts[0]), self.of(node.parts[1])
        if isinstance(owner.data, list) and isinstance(index.data, int) and index.data < len(owner.data):
            return owner.data[index.data]
        if owner.items:
            return chosen(owner.items)
        if owner.entries:
            return chosen([owner.entries[k] for k in index.texts if k in owner.entries] or [*owner.entries.values()])
        resources = [ref for ref in owner.refs if ref.resource is not None]
        return resources[0] if resources else Ref(node.source)

    def _call(self, node: Node) -> Any:
        from tools.infra.calls import FUNCTIONS

        name, arguments = node.parts
        known = FUNCTIONS.get(name.rpartition(".")[2])
        answer = known(self, arguments) if known is not None else None
        return Ref(node.source) if answer is None else answer

    def applied(self, function: Node, item: Value, place: int = 0) -> Value:
        """Return what a lambda makes of an item."""
        if function.kind != "lambda":
            return Value(Ref(function.source), function.where)
        names, body = function.parts
        more = {names[0]: item} | ({names[1]: Value(place, item.where)} if len(names) > 1 else {})
        return self._within(**more).of(body)
