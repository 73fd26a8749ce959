"""The `context` argument of a function, with the worker's properties (which are no subclasses of azure.functions')."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_THREAD_LOCAL = threading.local()


@dataclass(frozen=True)
class TraceContext:
    trace_parent: str = ""
    trace_state: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryContext:
    retry_count: int = 0
    max_retry_count: int = 0
    exception: Any = None


@dataclass(frozen=True)
class Context:
    """One invocation's context."""

    function_name: str
    function_directory: str
    invocation_id: str
    retry_context: RetryContext = RetryContext()
    trace_context: TraceContext = field(default_factory=TraceContext)

    @property
    def thread_local_storage(self) -> threading.local:
        return _THREAD_LOCAL
