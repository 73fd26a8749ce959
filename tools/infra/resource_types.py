"""Resource bodies against Azure's own types (resource_types.json), as Bicep's compiler holds them against each other.

Unknown, missing and read-only properties, values that are none of the allowed, a text for a number. The types are of
the newest API version of their day, infra/ may use an older one; a type that the index does not have is not checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment, Resource
from tools.infra.values import Ref, Value

FILE = Path(__file__).with_name("resource_types.json")
_KINDS = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_OF_BICEP = ("parent", "scope", "dependsOn")


@dataclass(frozen=True)
class Type:
    """What a value may be. text: `string`, `Hot | Cold`, `Rule[]`; or shape: names of properties to such texts."""

    place: str
    text: str = ""
    inline: Mapping[str, Any] | None = None

    @property
    def shape(self) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self.inline or _index()["types"][self.place].get(self.text)
        return found

    @property
    def words(self) -> list[str]:
        return self.text.split(" | ")

    def named(self, text: str) -> Type:
        return Type(self.place, text.lstrip("!="))

    def step(self, name: str) -> Type | None:
        """Return the type of a property, None when there is none of this name; of several shapes, any one's will do."""
        shape = self.shape
        if shape is None:
            return Type(self.place, "any")
        sides = [shape, *shape.get("|", {}).values()]
        found = next((side[key] for key in (name, "*") for side in sides if key in side), None)
        return None if found is None else self.named(found)


@lru_cache(maxsize=1)
def _index() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return read


@lru_cache(maxsize=1)
def _places() -> dict[str, Type | None]:
    return {name.lower(): place and Type(place, name) for name, place in _index()["resources"].items()}


def type_of(kind: str) -> Type | None:
    """Return the type of a resource, None when the index does not have it. Raises: KeyError: nobody has asked it."""
    return _places()[kind.lower()]


def check(deployment: Deployment) -> Iterator[Complaint]:
    for one in deployment.resources:
        yield from _resource(one)


def _resource(one: Resource) -> Iterator[Complaint]:
    try:
        type_ = type_of(one.kind)
    except KeyError:
        what, todo = f"the type {one.kind} is not listed", "Write that file anew (tools/infra/resource_types_from.py)"
        yield Complaint(one.where, what, f"one of those in {FILE.name}", todo)
        return
    for alternative in one.body.alternatives if type_ is not None else []:
        body = {key: value for key, value in alternative.data.items() if key not in _OF_BICEP}
        if one.existing:
            for key, value in body.items():
                if key != "name":
                    expected = "its name alone: it is not deployed here"
                    yield Complaint(value.key or one.where, f"{one.symbol} says {key}", expected, "Remove it")
        elif type_ is not None:
            # A child that stands outside its parent is named by a path, of which the type knows the last part.
            names = [Value(text, one.name.where) for text in one.names]
            yield from _object(type_, type_.shape or {}, {**body, "name": names[0] if names else one.name}, one.where)


def _value(type_: Type, value: Value) -> Iterator[Complaint]:
    for one in value.alternatives:
        if isinstance(one.data, Ref) or one.data is None or one.where.file.endswith(".json"):
            continue  # known to Azure only; or a text that azd puts in, of which the parameter makes what it is
        if isinstance(one.data, dict) and type_.shape is not None:
            yield from _object(type_, type_.shape, one.data, one.where)
        elif isinstance(one.data, list) and type_.text.endswith("[]"):
            for item in one.data:
                yield from _value(type_.named(type_.text.removesuffix("[]")), item)
        elif not _fits(type_, one.data):
            shown = repr(one.data) if isinstance(one.data, str) else json.dumps(one.data, default=lambda _: "...")
            todo = f"Mend it ({type_.place})"
            yield Complaint(one.where, f"this is {shown[:60]}", type_.text.replace(" | ", " or "), todo)


def _fits(type_: Type, data: Any) -> bool:
    if data in type_.words:
        return True  # some types are called as a value of another is
    if type_.shape is not None or type_.text.endswith("[]"):
        return False
    if isinstance(data, str):
        literals = [word for word in type_.words if word not in (*_KINDS, "any")]
        return "any" in type_.words or (data in literals or "${" in data if literals else "string" in type_.words)
    kinds = [_KINDS.get(word, str) for word in type_.words]
    return "any" in type_.words or any(type(data) is kind for kind in kinds)


def _object(type_: Type, shape: Mapping[str, Any], given: Mapping[str, Value], where: Where) -> Iterator[Complaint]:
    if "?" in shape:
        yield from _one_of(type_, shape, given, where)
        return
    for key, value in given.items():
        said = shape.get(key, shape.get("*"))
        place = value.key or value.where
        if said is None and "${" not in key:
            near = ", ".join(name for name, text in shape.items() if text[:1] != "=" and name not in given) or "none"
            yield Complaint(place, f"there is no property {key}", f"of {type_.text} only: {near}", "Mend its name")
        elif said is not None and said.startswith("="):
            yield Complaint(place, f"{key} is read only", f"nothing that is given to {type_.text}", "Remove it")
        elif said is not None:
            yield from _value(type_.named(said), value)
    missing = [name for name, text in shape.items() if text.startswith("!") and name not in given]
    if missing:
        what = f"{type_.text} has no {', '.join(missing)}"
        yield Complaint(where, what, "every property that Azure requires", "Add it")


def _one_of(type_: Type, shape: Mapping[str, Any], given: Mapping[str, Value], where: Where) -> Iterator[Complaint]:
    """An object whose properties depend on one of them: a cluster's on computeType, a filter's on operatorType."""
    key, sides = shape["?"], shape["|"]
    base = {name: text for name, text in shape.items() if name not in ("?", "|")}
    if key not in given:
        yield Complaint(where, f"{type_.text} has no {key}", " or ".join(sides), "Add it")
        return
    for text in given[key].texts:
        if text in sides:
            yield from _object(type_, {**base, **sides[text]}, given, where)
        elif "${" not in text:
            yield Complaint(given[key].where, f"{key} is {text!r}", " or ".join(sides), f"Mend it ({type_.place})")
