"""Where telemetry goes: decided by the platform's and OpenTelemetry's own variables, once, at the first call.

    APPLICATIONINSIGHTS_CONNECTION_STRING    to Application Insights; APPLICATIONINSIGHTS_AUTHENTICATION_STRING
                                             ("Authorization=AAD;ClientId=...") as an identity
    OTEL_EXPORTER_OTLP_ENDPOINT              to a collector, over HTTP
    OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER
                                             console: to standard output as well; none: this signal goes nowhere

With none of them nothing is loaded. The Functions host tells Application Insights of every call by itself, and what is
told here belongs to the same trace. The worker's own set-up (PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY) stays off: it
takes longer, at every start. See docs/decisions.md.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.telemetry.ids import WithIds

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

AZURE, OTLP = "APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"
EXPORTERS = {signal: f"OTEL_{signal.upper()}_EXPORTER" for signal in ("traces", "metrics", "logs")}
LOGGERS = ("functions", "shared")
"""Whose lines are told. Libraries' stay with the host: an exporter that told of its own trouble would make more."""
METRICS_EVERY_MS = 15_000
"""Shorter than OpenTelemetry's minute: an instance that scales in is not asked for what it still has to tell."""
_log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def set_up() -> bool:
    """Set telemetry up as the environment says; later calls do nothing. Returns whether it goes anywhere.

    Telemetry never stops the app: what is wrong with its set-up is logged, and the app goes on without it.
    """
    environment = os.environ
    if not any(environment.get(variable) for variable in (AZURE, OTLP, *EXPORTERS.values())):
        return False
    try:
        return _set_up(environment)
    except ModuleNotFoundError as fault:
        _log.warning("telemetry is off: there is no module %s; see docs/operations.md", fault.name)
        return False
    except Exception as fault:  # noqa: BLE001 - logged; its message may hold a part of a connection string
        _log.warning("telemetry is off: its set-up failed with %s; see docs/operations.md", type(fault).__name__)
        return False


def _set_up(environment: Mapping[str, str]) -> bool:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    if isinstance(trace.get_tracer_provider(), TracerProvider):
        _log.warning("telemetry was set up by the worker already: remove PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY")
        return False
    resource = _resource(environment)
    to = {signal: _destinations(signal, environment) for signal in EXPORTERS}
    exporters = {signal: [_exporter(signal, one) for one in to[signal]] for signal in EXPORTERS}
    _set_up_traces(resource, exporters["traces"], environment)
    _set_up_metrics(resource, exporters["metrics"], environment)
    _set_up_logs(resource, exporters["logs"], instead="azure" in to["logs"])
    return True


def _destinations(signal: str, environment: Mapping[str, str]) -> list[str]:
    """Return where a signal goes: azure, otlp, console."""
    asked = {part.strip() for part in environment.get(EXPORTERS[signal], "").lower().split(",") if part.strip()}
    if "none" in asked:
        return []
    found = ["azure"] if environment.get(AZURE) else []
    if environment.get(OTLP) or "otlp" in asked:
        found.append("otlp")
    return found + (["console"] if "console" in asked else [])


def _exporter(signal: str, to: str) -> Any:
    """Make an exporter. Raises: ModuleNotFoundError: OTLP is asked for, and its package is not installed."""
    if to == "azure":
        from azure.monitor.opentelemetry import exporter as azure

        made = (azure.AzureMonitorTraceExporter, azure.AzureMonitorMetricExporter, azure.AzureMonitorLogExporter)
    elif to == "console":
        from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
        from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        made = (ConsoleSpanExporter, ConsoleMetricExporter, ConsoleLogRecordExporter)
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        made = (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter)
    return dict(zip(EXPORTERS, made, strict=True))[signal]()


def _resource(environment: Mapping[str, str]) -> Resource:
    """Return who speaks: by the function app's name, as the host does, unless OTEL_SERVICE_NAME says otherwise."""
    from opentelemetry.sdk.resources import Resource

    name = environment.get("OTEL_SERVICE_NAME") or environment.get("WEBSITE_SITE_NAME") or "finetune-functions"
    return Resource.create({"service.name": name})


def _set_up_traces(resource: Resource, exporters: list[Any], environment: Mapping[str, str]) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    # By default a span is dropped when the host's own is marked as not sampled, whatever the host means by it.
    sampler = None if environment.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON
    provider = TracerProvider(resource=resource, sampler=sampler)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _set_up_metrics(resource: Resource, exporters: list[Any], environment: Mapping[str, str]) -> None:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    every = None if environment.get("OTEL_METRIC_EXPORT_INTERVAL") else METRICS_EVERY_MS
    readers = [PeriodicExportingMetricReader(exporter, export_interval_millis=every) for exporter in exporters]
    metrics.set_meter_provider(MeterProvider(metric_readers=readers, resource=resource))


def _set_up_logs(resource: Resource, exporters: list[Any], *, instead: bool) -> None:
    """instead: the worker is not to hand the lines to the host as well, which would tell Application Insights twice."""
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(resource=resource)
    for exporter in exporters:
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    if not exporters:
        return
    handler = LoggingHandler(level=logging.INFO, logger_provider=provider)
    handler.addFilter(WithIds())
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = not instead
