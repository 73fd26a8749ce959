"""What indexing found: the functions of an app, in the terms of the Python worker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

HTTP_TRIGGER = "httpTrigger"
EVENT_GRID_TRIGGER = "eventGridTrigger"
BLOB_TRIGGER = "blobTrigger"
TIMER_TRIGGER = "timerTrigger"


@dataclass(frozen=True)
class Parameter:
    """One bound parameter. `deferred`: an SDK type (BlobClient) that receives a reference, not the content."""

    binding_type: str
    annotation: Any
    deferred: bool = False


@dataclass(frozen=True)
class RetryPolicy:
    """As the host understands it; `max_retries` -1 means for ever."""

    strategy: str
    max_retries: int
    delay_s: float = 0
    minimum_s: float = 0
    maximum_s: float = 0


@dataclass(frozen=True)
class Function:
    """One indexed function. `bindings` are function.json's dictionaries, `trigger` is one of them."""

    name: str
    call: Callable[..., Any]
    directory: str
    bindings: tuple[Mapping[str, Any], ...]
    trigger: Mapping[str, Any]
    inputs: Mapping[str, Parameter]
    outputs: Mapping[str, Parameter]
    wants_context: bool
    is_async: bool
    return_binding: str | None
    return_annotation: Any = None
    retry: RetryPolicy | None = None
    errors: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.trigger["type"])

    @property
    def parameter(self) -> Parameter:
        """The trigger's own parameter."""
        return self.inputs[self.trigger["name"]]
