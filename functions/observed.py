"""What every trigger has in common: telemetry is set up, and what the call tells carries its trigger and delivery."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from shared import telemetry

T = TypeVar("T")


def observed(
    trigger: str, delivery_id: Callable[[Any], str] | None = None
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Let a function's log lines and spans carry what set it off.

    Args: delivery_id: reads the id of what was delivered; without it, the host's id of the call is taken: the one under
    which Application Insights shows it.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        @functools.wraps(function)
        def call(*args: Any, context: Any = None, **kwargs: Any) -> T:
            delivered = [*args, *kwargs.values()]
            delivery = delivery_id(delivered[0]) if delivery_id else getattr(context, "invocation_id", "")
            trace_parent = getattr(getattr(context, "trace_context", None), "trace_parent", None) or ""
            with telemetry.of_call(trigger, delivery, trace_parent):
                return function(*args, **kwargs)

        # The worker hands over the call's context to who has a parameter of this name; it looks at the signature.
        declared = inspect.signature(function)
        own = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, default=None)
        call.__signature__ = declared.replace(parameters=[*declared.parameters.values(), own])  # type: ignore[attr-defined]
        return call

    return decorate
