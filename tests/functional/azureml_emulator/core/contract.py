"""Checks a body against the models the SDK was generated with: unknown keys, missing ones, values, kinds.

It proves that the emulator speaks what the SDK knows, not what Azure does: that is what the recordings are for.
"""

import enum
import typing
from collections.abc import Iterator
from typing import Any

from azure.ai.ml._restclient.arm_ml_service import models
from azure.ai.ml._restclient.arm_ml_service._utils.model_base import Model
from azure.ai.ml._restclient.arm_ml_service.models import _models as raw

# Required in the model, never in an answer: Azure does not show secrets.
ALLOWED = {"$.properties.credentials.secrets: required"}


def faults_of(model: str, body: dict[str, Any]) -> Iterator[str]:
    """Answer what in `body` the SDK's model does not know or misses."""
    return (fault for fault in _check(getattr(models, model), body, "$") if fault not in ALLOWED)


def _check(kind: Any, value: Any, at: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        yield from _check_union(arguments, value, at)
    elif origin is dict:
        for key, inner in value.items():
            yield from _check(arguments[1], inner, f"{at}.{key}")
    elif origin is list:
        for index, inner in enumerate(value):
            yield from _check(arguments[0], inner, f"{at}[{index}]")
    elif isinstance(kind, type) and issubclass(kind, Model):
        yield from _check_model(_concrete(kind, value), value, at)
    elif kind in (str, int, bool) and not isinstance(value, kind):
        yield f"{at}: expected {kind.__name__}, found {value!r}"


def _check_union(arguments: tuple[Any, ...], value: Any, at: str) -> Iterator[str]:
    if value is None and type(None) in arguments:
        return
    enums = [kind for kind in arguments if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    known = [member.value for kind in enums for member in kind]
    if known and value not in known:
        yield f"{at}: {value!r} is not one of {known}"
    elif not known:
        yield from _check(next(kind for kind in arguments if kind is not type(None)), value, at)


def _concrete(kind: Any, value: dict[str, Any]) -> Any:
    """Follow the discriminator (computeType, datastoreType, ...) to the model that is meant."""
    while "__mapping__" in kind.__dict__ and (field := kind._get_discriminator([])):
        found = kind.__mapping__.get(value.get(field._rest_name))
        if found in (None, kind):
            return kind
        kind = found
    return kind


def _check_model(kind: Any, value: dict[str, Any], at: str) -> Iterator[str]:
    kind({})  # fills the field tables in
    hints = typing.get_type_hints(kind, {**vars(raw), "_models": models})
    fields = {field._rest_name: hints[name] for name, field in kind._attr_to_rest_field.items()}
    yield from (f"{at}.{key}: unknown" for key in value.keys() - fields.keys())
    for key, hint in fields.items():
        if key in value:
            yield from _check(hint, value[key], f"{at}.{key}")
        elif type(None) not in typing.get_args(hint):
            yield f"{at}.{key}: required"
