"""Write resource_types.json anew, from Microsoft's own index of Bicep's types.

    npm pack @azure/mcp-linux-x64 && tar -xzf azure-mcp-linux-x64-*.tgz
    python -m tools.infra.resource_types_from package/dist/azmcp

The program answers without a network. It knows each type in its newest API version; some it does not know, which are
written down as such (2.0.5 does not know six). Run it again when infra/ uses another resource type or API version.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.infra.app import ROOT
from tools.infra.deployment import Deployment
from tools.infra.resource_types import FILE

_ABOUT = (
    "The resource types that infra/ uses, as Bicep has them, as far as resource_types.py reads them: by provider and"
    " API version, type by type, a property's name to what it may be. `!`: required, `=`: read only; `*`: any other"
    " name; `?`: the name that decides which of `|` it is. null: the index does not have the type. Written by"
    " resource_types_from.py. Source: `bicepschema get` of the Azure MCP server, whose index is made of"
    " https://github.com/Azure/bicep-types-az (both under the MIT license)."
)
_PRIMITIVES = ("string", "int", "bool", "any")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.infra.resource_types_from")
    parser.add_argument("azmcp", type=Path, help="the unpacked program")
    FILE.write_text(listed(parser.parse_args().azmcp, {one.kind for one in Deployment(ROOT).resources}), "utf-8")


def listed(program: Path, kinds: set[str]) -> str:
    """Return the file's text: a line for each type, so that a difference can be read."""
    types: dict[str, dict[str, Any]] = {}
    resources = {}
    for kind in sorted(kinds):
        answer = _answer(program, kind)
        resources[kind] = None if answer is None else _added(types, kind, answer)
    rows = ",\n".join(f"  {json.dumps(name)}: {_lines(one)}" for name, one in sorted(types.items()))
    about = json.dumps(_ABOUT)
    return f'{{\n "about": {about},\n "resources": {_lines(resources)},\n "types": {{\n{rows}\n }}\n}}\n'


def _lines(types: dict[str, Any]) -> str:
    return (
        "{\n" + ",\n".join(f"   {json.dumps(name)}: {json.dumps(one)}" for name, one in sorted(types.items())) + "\n  }"
    )


def _answer(program: Path, kind: str) -> list[dict[str, Any]] | None:
    """Return all types that a resource type consists of; None when the index does not have it."""
    command = [str(program), "bicepschema", "get", "--resource-type", kind]
    environment = {**os.environ, "AZURE_MCP_COLLECT_TELEMETRY": "false"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    answer = json.loads(done.stdout[done.stdout.index("{\n") :])
    found: list[dict[str, Any]] | None = answer["results"]["BicepSchemaResult"] if answer["status"] == 200 else None
    return found


def _added(types: dict[str, dict[str, Any]], kind: str, answer: list[dict[str, Any]]) -> str:
    """Add a resource type and what it refers to; returns the provider and version that they stand under."""
    named = {one["name"]: one for one in answer if one["$type"] in ("Object", "DiscriminatedObject")}
    (resource,) = (one for one in answer if one["$type"] == "Resource")
    place = f"{kind.partition('/')[0]}@{resource['name'].partition('@')[2]}"
    mine = types.setdefault(place, {})
    mine[kind] = _shape(resource["bodyType"])
    todo = list(_words(mine[kind]))
    while todo:
        word = todo.pop()
        if word in named and word not in mine:
            mine[word] = _shape(named[word])
            todo += _words(mine[word])
    _open(mine, named)
    return place


def _open(types: dict[str, Any], named: dict[str, Any]) -> None:
    """Let be anything what the answer names without listing it: types of what all sides of a choice have."""
    for shape in types.values():
        for key, text in shape.items() if "?" in shape else ():
            name = str(text).lstrip("!=")
            if key not in ("?", "|") and name.isidentifier() and name not in named and name not in _PRIMITIVES:
                shape[key] = text.replace(name, "any")


def _shape(type_: dict[str, Any]) -> dict[str, Any]:
    if type_["$type"] == "DiscriminatedObject":
        key = type_["discriminator"]
        sides = {_literal(side, key): _shape(side) for side in type_["elements"]}
        return {**_shape({**type_, "$type": "Object", "properties": type_["baseProperties"]}), "?": key, "|": sides}
    found = {one["name"]: _mark(one.get("flags", "")) + one["type"] for one in type_["properties"]}
    more = type_.get("additionalPropertiesType")
    return {**found, "*": more} if more is not None else found


def _literal(side: dict[str, Any], key: str) -> str:
    return next(str(one["type"]) for one in side["properties"] if one["name"] == key)


def _mark(flags: str) -> str:
    return "=" if "ReadOnly" in flags else "!" if "Required" in flags else ""


def _words(shape: dict[str, Any]) -> Iterator[str]:
    for text in shape.values():
        if isinstance(text, dict):
            for side in text.values():
                yield from _words(side)
        else:
            yield from (part.replace("[]", "") for part in text.lstrip("!=").split(" | "))


if __name__ == "__main__":
    main()
