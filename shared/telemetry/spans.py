"""Spans: what took how long, under the span of the host's call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.telemetry.exporting import set_up
from shared.telemetry.ids import about, ids

if TYPE_CHECKING:
    from shared.runs.record import Run


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """Open a span that carries the ids. Without an SDK that was set up it costs next to nothing and goes nowhere.

    A failure marks the span with the exception's type. Its message stays out: a foreign one may quote anything.
    """
    from opentelemetry import trace

    tracer = trace.get_tracer("finetune")
    with tracer.start_as_current_span(
        name, attributes={**ids(), **attributes}, record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield
        except Exception as fault:
            opened.set_status(trace.StatusCode.ERROR, type(fault).__name__)
            raise


@contextmanager
def of_call(trigger: str, delivery_id: str, trace_parent: str) -> Iterator[None]:
    """Say what a call of the host is about, and make what is told within a part of the host's own trace.

    Args: trace_parent: the call's, as W3C writes it; empty: not known.
    """
    set_up()
    with about(trigger=trigger, delivery_id=delivery_id), _under(trace_parent):
        yield


@contextmanager
def _under(trace_parent: str) -> Iterator[None]:
    if not trace_parent:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": trace_parent}))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def of_run(run: Run, trigger: str) -> Iterator[None]:
    """Say that what happens within is about a run, and open its span."""
    with about(run_id=run.id, project=run.project, trigger=trigger), span("advance run", state=run.state.value):
        yield
