"""Index an app as the Python worker does: import it, ask for its functions once, check each against its bindings.

Rules and messages follow azure-functions-runtime 1.3.0 (`loader.py`, `functions.py`).
"""

import importlib
import inspect
import json
import re
import sys
import time
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from azure.functions import FunctionRegister

from local.functions_host import annotations
from local.functions_host.model import Function, RetryPolicy

SCRIPT = "function_app.py"
_SCRIPT_NAME = re.compile(r"^[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py$")
_OUT = 1
_INOUT = 2


class AppLoadError(RuntimeError):
    """The whole app cannot be used; the message has the worker's form `Type: message`."""


def index(app_root: Path, script: str = SCRIPT) -> list[Function]:
    """Import the app below `app_root` and return its functions.

    Raises: AppLoadError: for whatever makes the worker refuse all functions, and for finding none at all,
    which the worker accepts in silence.
    """
    try:
        _check_script(app_root, script)
        found = _app(app_root, script).get_functions()
        deferred = annotations.DeferredTypes()
        functions = [_function(one, deferred) for one in found]
    except SystemExit as error:
        raise AppLoadError(
            f"SystemExit: {script} called sys.exit({error.code!r}) on import: no worker survives"
        ) from error
    except ImportError as error:
        hint = "Cannot find module. Please check the requirements.txt file for the missing module."
        raise AppLoadError(f"{type(error).__name__}: {error}. {hint} Current sys.path: {' '.join(sys.path)}") from error
    except AppLoadError:
        raise
    except Exception as error:
        raise AppLoadError(f"{type(error).__name__}: {error}") from error
    if not functions:
        raise AppLoadError(f"ValueError: {app_root / script} registers no function: is a blueprint not registered?")
    return functions


def _check_script(app_root: Path, script: str) -> None:
    if not _SCRIPT_NAME.match(script):
        raise AppLoadError(f"InvalidFileNameError: Invalid file name: {script}")
    if not (app_root / script).exists():
        raise AppLoadError(f"FileNotFoundError: {app_root / script} does not exist: the worker would load no function")


def _app(app_root: Path, script: str) -> FunctionRegister:
    if str(app_root) not in sys.path:
        sys.path.insert(0, str(app_root))
    module = importlib.import_module(Path(script).stem)
    # An alias of the same app counts as a second one, as it does in the worker.
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if len(apps) > 1:
        kind = type(apps[0]).__name__
        raise ValueError(f"More than one {kind} or other top level function app instances are defined.")
    if not apps:
        raise ValueError(f"Could not find top level function app instances in {script}.")
    return apps[0]


def _function(found: Any, deferred: annotations.DeferredTypes) -> Function:
    call, name = found.get_user_function(), found.get_function_name()
    parameters = dict(inspect.signature(call).parameters)
    hints = typing.get_type_hints(call)
    bound = {binding.name: binding for binding in _checked(name, found.get_bindings()) if binding.name != "$return"}
    wants_context = _takes_context(name, parameters, bound, hints)
    checked = annotations.check_parameters(name, parameters, bound, hints, deferred)
    return_binding, explicit = _return_binding(found.get_bindings())
    if explicit:
        annotations.check_return(name, str(return_binding), hints)
    raw = tuple(json.loads(text) for text in found.get_raw_bindings())
    return Function(
        name=name,
        call=call,
        directory=str(Path(inspect.getfile(call)).parent),
        bindings=raw,
        trigger=next(binding for binding in raw if binding["name"] == found.get_trigger().name),
        inputs={key: value for key, value in checked.items() if bound[key].direction != _OUT},
        outputs={key: value for key, value in checked.items() if bound[key].direction == _OUT},
        wants_context=wants_context,
        is_async=inspect.iscoroutinefunction(call),
        return_binding=return_binding,
        return_annotation=hints.get("return"),
        retry=_retry(name, found.get_settings_dict("retry_policy")),
    )


def _checked(name: str, bindings: list[Any]) -> Iterator[Any]:
    for binding in bindings:
        if binding.direction == _INOUT:
            raise annotations.FunctionLoadError(name, '"inout" bindings are not supported')
        if binding.name == "$return" and binding.direction != _OUT:
            raise annotations.FunctionLoadError(name, '"$return" binding must have direction set to "out"')
        yield binding


def _takes_context(name: str, parameters: dict[str, Any], bound: dict[str, Any], hints: dict[str, Any]) -> bool:
    if "context" not in parameters or "context" in bound:
        return False
    del parameters["context"]
    hint = hints.get("context")
    if hint is not None and getattr(hint, "__name__", "") != "Context":
        raise annotations.FunctionLoadError(
            name, f'the "context" parameter is expected to be of type azure.functions.Context, got "{hint!r}"'
        )
    return True


def _return_binding(bindings: list[Any]) -> tuple[str | None, bool]:
    for binding in bindings:
        if binding.name == "$return":
            return str(binding.type), True
    implicit = [str(binding.type) for binding in bindings if annotations.has_implicit_output(binding.type)]
    return (implicit[-1] if implicit else None), False


def _retry(name: str, settings: dict[str, Any] | None) -> RetryPolicy | None:
    if not settings:
        return None
    strategy = settings["strategy"]
    if strategy not in ("fixed_delay", "exponential_backoff"):
        raise ValueError(f'{name}: unknown enum label "{strategy}"')
    return RetryPolicy(
        strategy=strategy,
        max_retries=int(settings["max_retry_count"]),
        delay_s=_seconds(settings.get("delay_interval")),
        minimum_s=_seconds(settings.get("minimum_interval")),
        maximum_s=_seconds(settings.get("maximum_interval")),
    )


def _seconds(text: str | None) -> float:
    if not text:
        return 0
    parsed = time.strptime(text, "%H:%M:%S")
    return parsed.tm_hour * 3600 + parsed.tm_min * 60 + parsed.tm_sec
