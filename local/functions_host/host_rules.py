"""What the host, not the worker, refuses. Such an error disables its function only; the others run.

Source: azure-functions-host 4.1037 (function metadata validation) and the trigger extensions.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from local.functions_host.model import (
    BLOB_TRIGGER,
    EVENT_GRID_TRIGGER,
    HTTP_TRIGGER,
    TIMER_TRIGGER,
    Function,
)
from local.functions_host.routes import Route, RouteError
from local.functions_host.schedules import Schedule, ScheduleError
from local.functions_host.settings import HostConfig, SettingError, resolve
from local.functions_host.storage import Connections, StorageSettingError

_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.I)
_FROM_BUNDLE = (EVENT_GRID_TRIGGER, BLOB_TRIGGER)
_BINDINGS = {HTTP_TRIGGER, EVENT_GRID_TRIGGER, BLOB_TRIGGER, TIMER_TRIGGER, "http"}
HOST_STORAGE = "AzureWebJobsStorage"


def check(functions: list[Function], config: HostConfig, environ: Mapping[str, str]) -> None:
    """Add to each function's `errors` whatever makes the host refuse it."""
    names = Counter(function.name.lower() for function in functions)
    for function in functions:
        function.errors.extend(_function_errors(function, config, environ))
        if names[function.name.lower()] > 1:
            function.errors.append(f"The function name '{function.name}' is not unique (names ignore case).")
    _check_routes(functions)


def methods(function: Function) -> set[str]:
    """Return the HTTP methods of a function, upper case; empty means all."""
    return {str(method).upper() for method in function.trigger.get("methods") or ()}


def _function_errors(function: Function, config: HostConfig, environ: Mapping[str, str]) -> Iterator[str]:
    if not _NAME.match(function.name) or function.name.lower() == "host":
        yield f"'{function.name}' is not a valid function name."
    for name, count in Counter(binding["name"].lower() for binding in function.bindings).items():
        if count > 1:
            yield f"Multiple bindings with name '{name}' discovered. Binding names must be unique."
    yield from _binding_errors(function, config)
    yield from _retry_errors(function)
    if function.kind in _BINDINGS:
        yield from _CHECKS[function.kind](function, environ)


def _binding_errors(function: Function, config: HostConfig) -> Iterator[str]:
    kinds = {str(binding["type"]) for binding in function.bindings}
    if unknown := sorted(kinds - _BINDINGS):
        yield f"The binding type(s) '{', '.join(unknown)}' are not offered by this local host."
    if not config.has_extension_bundle and (missing := sorted(kinds & set(_FROM_BUNDLE))):
        yield (
            f"The binding type(s) '{', '.join(missing)}' are not registered. Please ensure the type is correct and "
            "the binding extension is installed (host.json has no extensionBundle)."
        )


def _retry_errors(function: Function) -> Iterator[str]:
    retry = function.retry
    if retry is None:
        return
    if retry.strategy == "fixed_delay" and not retry.delay_s:
        yield "The retry policy fixed_delay needs a delay_interval."
    if retry.strategy == "exponential_backoff" and not 0 < retry.minimum_s <= retry.maximum_s:
        yield "The retry policy exponential_backoff needs minimum_interval and maximum_interval, in this order."


def _http_errors(function: Function, environ: Mapping[str, str]) -> Iterator[str]:
    del environ
    route = str(function.trigger.get("route", function.name))
    if re.match(r"^(admin|runtime)", route.strip("/"), re.I):
        yield "The specified route conflicts with one or more built in routes."
    try:
        Route(route)
    except RouteError as error:
        yield str(error)


def _event_grid_errors(function: Function, environ: Mapping[str, str]) -> Iterator[str]:
    del function, environ
    yield from ()


def _blob_errors(function: Function, environ: Mapping[str, str]) -> Iterator[str]:
    if function.trigger.get("source") != "EventGrid":
        yield "A blob trigger that scans containers is not offered by this local host; use source EventGrid."
    connections = Connections(environ)
    for name in (HOST_STORAGE, str(function.trigger.get("connection") or HOST_STORAGE)):
        try:
            connections.check(name)
        except StorageSettingError as error:
            yield str(error)
    try:
        path = resolve(str(function.trigger["path"]), environ)
    except SettingError as error:
        yield str(error)
        return
    if not re.fullmatch(r"[^/]+(/.+)?", path):
        yield f"Invalid blob trigger path '{path}'. Paths must be in the format 'container/blob'."


def _timer_errors(function: Function, environ: Mapping[str, str]) -> Iterator[str]:
    try:
        Schedule.parse(resolve(str(function.trigger["schedule"]), environ))
    except (SettingError, ScheduleError) as error:
        yield str(error)
    try:
        Connections(environ).check(HOST_STORAGE)
    except StorageSettingError as error:
        yield str(error)


_CHECKS: dict[str, Any] = {
    HTTP_TRIGGER: _http_errors,
    EVENT_GRID_TRIGGER: _event_grid_errors,
    BLOB_TRIGGER: _blob_errors,
    TIMER_TRIGGER: _timer_errors,
}


def _check_routes(functions: list[Function]) -> None:
    taken: list[Function] = []
    for function in (one for one in functions if one.kind == HTTP_TRIGGER):
        for other in taken:
            if _route(function) == _route(other) and _share_method(function, other):
                function.errors.append(
                    f"The route specified conflicts with the route defined by function '{other.name}'."
                )
        taken.append(function)


def _route(function: Function) -> str:
    return str(function.trigger.get("route", function.name)).strip("/").lower()


def _share_method(one: Function, other: Function) -> bool:
    first, second = methods(one), methods(other)
    return not first or not second or bool(first & second)
