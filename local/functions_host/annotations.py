"""Compare a function's parameters and annotations with its bindings, by the worker's rules and in its words."""

import inspect
import sys
import typing
from collections.abc import Mapping
from typing import Any

from azure.functions import meta

from local.functions_host.model import Parameter

_OUT = 1


class FunctionLoadError(RuntimeError):
    """One function does not fit its bindings; the worker then loads none of the app."""

    def __init__(self, function: str, message: str) -> None:
        super().__init__(f"cannot load the {function} function: {message}")


class GenericBinding:
    """What the worker uses for a binding that azure-functions has no converter for: text and bytes."""

    @staticmethod
    def check_input_type_annotation(pytype: type) -> bool:
        return issubclass(pytype, str | bytes)

    @staticmethod
    def check_output_type_annotation(pytype: type) -> bool:
        return issubclass(pytype, str | bytes | bytearray)

    @staticmethod
    def decode(datum: meta.Datum, *, trigger_metadata: Mapping[str, Any]) -> Any:
        del trigger_metadata
        return None if datum is None else datum.value


class DeferredTypes:
    """The SDK types (BlobClient and so on) that get a reference instead of content.

    The worker looks once, at the first parameter it checks, whether `azurefunctions.extensions.base` was imported,
    and never again. An app that imports it later than that is refused, so it is refused here.
    """

    def __init__(self) -> None:
        self._looked = False
        self._registry: Any = None

    def covers(self, annotation: Any) -> bool:
        if not self._looked:
            self._looked = True
            base = sys.modules.get("azurefunctions.extensions.base")
            self._registry = base.get_binding_registry() if base else None
        return self._registry is not None and bool(self._registry.check_supported_type(annotation))


def converter(binding_type: str, deferred: bool = False) -> Any:
    """Return the SDK's own converter of a binding type."""
    if deferred:
        registry = sys.modules["azurefunctions.extensions.base"].get_binding_registry()
    else:
        registry = meta.get_binding_registry()
    return registry.get(binding_type) or GenericBinding


def has_implicit_output(binding_type: str) -> bool:
    found = converter(binding_type)
    if found is GenericBinding:
        return binding_type != "durableClient"
    return bool(getattr(found, "has_implicit_output", lambda: False)())


def check_parameters(
    function: str,
    parameters: Mapping[str, inspect.Parameter],
    bound: Mapping[str, Any],
    hints: Mapping[str, Any],
    deferred: DeferredTypes,
) -> dict[str, Parameter]:
    """Return the checked parameters by name.

    Raises: FunctionLoadError: names differ, or an annotation does not fit.
    """
    if extra := set(parameters) - set(bound):
        raise FunctionLoadError(
            function,
            "the following parameters are declared in Python but not in the function definition "
            f"(function.json or function decorators): {extra!r}",
        )
    if missing := set(bound) - set(parameters):
        raise FunctionLoadError(
            function,
            "Extra parameters in binding definition — the following parameters are declared as bindings "
            f"but are not present in Python: {missing!r}",
        )
    return {name: _parameter(function, name, bound[name], hints, deferred) for name in parameters}


def _parameter(
    function: str, name: str, binding: Any, hints: Mapping[str, Any], deferred_types: DeferredTypes
) -> Parameter:
    deferred = deferred_types.covers(hints.get(name))
    if name not in hints:
        return Parameter(binding.type, None)
    hint = hints[name]
    is_out = getattr(typing.get_origin(hint) or hint, "__name__", "") == "Out"
    pytype = _inner(function, name, hint) if is_out else hint
    if not isinstance(pytype, type) and not _is_generic(pytype):
        raise FunctionLoadError(function, f"binding {name} has invalid non-type annotation {hint!r}")
    _check_direction(function, name, binding.direction == _OUT, is_out)
    kind = binding.type
    if pytype in (str, bytes) and not has_implicit_output(kind):
        kind = "generic"
    if not _fits(converter(kind, deferred), pytype, is_out):
        raise FunctionLoadError(function, _mismatch(name, binding.type, pytype))
    return Parameter(kind, pytype, deferred)


def _inner(function: str, name: str, hint: Any) -> Any:
    arguments = typing.get_args(hint)
    if len(arguments) != 1:
        raise FunctionLoadError(function, f"binding {name} has invalid Out annotation {hint!r}")
    return arguments[0]


def _is_generic(annotation: Any) -> bool:
    # The worker knows only typing's own aliases (typing.List[int]); unions and list[int] are "non-type" to it.
    return type(annotation).__name__ == "_GenericAlias" and typing.get_origin(annotation) is not tuple


def _check_direction(function: str, name: str, binding_is_out: bool, annotation_is_out: bool) -> None:
    if binding_is_out and not annotation_is_out:
        raise FunctionLoadError(
            function,
            f'binding {name} is declared to have the "out" direction, but its annotation in Python is not '
            "a subclass of azure.functions.Out",
        )
    if annotation_is_out and not binding_is_out:
        raise FunctionLoadError(
            function,
            f'binding {name} is declared to have the "in" direction in the binding decorator, but its annotation '
            "is azure.functions.Out in Python",
        )


def _fits(found: Any, pytype: Any, is_out: bool) -> bool:
    check = found.check_output_type_annotation if is_out else found.check_input_type_annotation
    return bool(check(pytype))


def _mismatch(name: str, binding_type: str, pytype: Any) -> str:
    text = (
        f'binding type "{name!r}" and dataType "{binding_type}" in the binding decorator do not match '
        f"the corresponding function parameter's Python type annotation {getattr(pytype, '__name__', pytype)}"
    )
    if "azurefunctions.extensions" in getattr(pytype, "__module__", ""):
        text += " (the worker knows this type only if the app imports azurefunctions.extensions.base at its top)"
    return text


def check_return(function: str, binding_type: str, hints: Mapping[str, Any]) -> None:
    """Check the annotation of the returned value against the `$return` binding."""
    if "return" not in hints:
        return
    hint = hints["return"]
    if getattr(typing.get_origin(hint), "__name__", "") == "Out":
        raise FunctionLoadError(function, "return annotation should not be azure.functions.Out")
    if not isinstance(hint, type):
        raise FunctionLoadError(function, f"has invalid non-type return annotation {hint!r}")
    if not converter(binding_type).check_output_type_annotation(hint):
        raise FunctionLoadError(
            function, f'Python return annotation "{hint.__name__}" does not match binding type "{binding_type}"'
        )
