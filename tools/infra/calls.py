"""Bicep's functions, as far as names and settings are made with them. A function that is not here stays a reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice, product
from typing import Any

from tools.infra.complaint import Where
from tools.infra.nodes import Node
from tools.infra.values import MOST_TEXTS, Choice, Evaluation, Value, chosen, plain


def _union(at: Evaluation, arguments: list[Node]) -> Any:
    values = [at.of(argument) for argument in arguments]
    if any(value.items for value in values):
        return [item for value in values for item in value.items]
    found: dict[str, Value] = {}
    for value in values:
        found.update(value.entries)
    return found


def _concat(at: Evaluation, arguments: list[Node]) -> Any:
    values = [at.of(argument) for argument in arguments]
    if any(isinstance(value.data, list | Choice) for value in values):
        return [item for value in values for item in value.items]
    return "".join(text for value in values for text in value.texts[:1])


def _flatten(at: Evaluation, arguments: list[Node]) -> Any:
    return [item for inner in at.of(arguments[0]).items for item in inner.items]


def _items(at: Evaluation, arguments: list[Node]) -> Any:
    entries = at.of(arguments[0]).entries
    return [Value({"key": Value(k, v.where), "value": v}, v.where) for k, v in entries.items()]


def _objectkeys(at: Evaluation, arguments: list[Node]) -> Any:
    return [Value(key, value.where) for key, value in at.of(arguments[0]).entries.items()]


def _map(at: Evaluation, arguments: list[Node]) -> Any:
    return [at.applied(arguments[1], item, place) for place, item in enumerate(at.of(arguments[0]).items)]


def _filter(at: Evaluation, arguments: list[Node]) -> Any:
    return at.of(arguments[0])


def _toobject(at: Evaluation, arguments: list[Node]) -> Any:
    found: dict[str, Value] = {}
    for item in at.of(arguments[0]).items:
        value = at.applied(arguments[2], item) if len(arguments) > 2 else item
        found.update(dict.fromkeys(at.applied(arguments[1], item).texts, value))
    return found


def _tolower(at: Evaluation, arguments: list[Node]) -> Any:
    texts = [one.data for one in at.of(arguments[0]).alternatives if isinstance(one.data, str)]
    return chosen([Value(text.lower(), arguments[0].where) for text in texts]) if texts else None


def _string(at: Evaluation, arguments: list[Node]) -> Any:
    value = at.of(arguments[0])
    return chosen([Value(text, value.where) for text in value.texts]) if value.texts else None


def _format(at: Evaluation, arguments: list[Node]) -> Any:
    form, *rest = (at.of(argument).texts[:1] for argument in arguments)
    text = form[0] if form else ""
    for place, part in enumerate(rest):
        text = text.replace(f"{{{place}}}", part[0] if part else "")
    return text


def _resource_id(at: Evaluation, arguments: list[Node]) -> Any:
    texts = [at.of(argument).texts or [""] for argument in arguments]
    return chosen([Value("/" + "/".join(one), arguments[0].where) for one in islice(product(*texts), MOST_TEXTS)])


def _loadjsoncontent(at: Evaluation, arguments: list[Node]) -> Any:
    (name,) = at.of(arguments[0]).texts
    where = Where(at.scope.beside(name), 1)
    return plain(json.loads(at.scope.read(name)), where)


def _loadtextcontent(at: Evaluation, arguments: list[Node]) -> Any:
    (name,) = at.of(arguments[0]).texts
    return Value(at.scope.read(name), Where(at.scope.beside(name), 1))


FUNCTIONS: dict[str, Callable[[Evaluation, list[Node]], Any]] = {
    "union": _union,
    "concat": _concat,
    "flatten": _flatten,
    "items": _items,
    "objectKeys": _objectkeys,
    "map": _map,
    "filter": _filter,
    "toObject": _toobject,
    "toLower": _tolower,
    "string": _string,
    "format": _format,
    "subscriptionResourceId": _resource_id,
    "resourceId": _resource_id,
    "tenantResourceId": _resource_id,
    "loadJsonContent": _loadjsoncontent,
    "loadTextContent": _loadtextcontent,
}
"""Each answers with a value, with plain data, or with None when it cannot tell."""
