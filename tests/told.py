"""What this process tells through OpenTelemetry, kept in memory: the SDK's own exporters, set up once for all tests."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry.ids import WithIds

Attributes = Mapping[str, Any]


class Told:
    """Spans, log lines and metrics since `listening` began."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.log_exporter = InMemoryLogRecordExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)
        metrics.set_meter_provider(MeterProvider(metric_readers=[self.reader]))
        logs = LoggerProvider()
        logs.add_log_record_processor(SimpleLogRecordProcessor(self.log_exporter))
        self.handler = LoggingHandler(level=logging.INFO, logger_provider=logs)
        self.handler.addFilter(WithIds())
        self._before: dict[tuple[str, frozenset[tuple[str, Any]]], float] = {}

    def begin(self) -> None:
        self.exporter.clear()
        self.log_exporter.clear()
        self._before = self._values()

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def lines(self) -> list[tuple[str, Attributes]]:
        """Log lines with their attributes."""
        records = [data.log_record for data in self.log_exporter.get_finished_logs()]
        return [(str(record.body), dict(record.attributes or {})) for record in records]

    def added(self, name: str) -> dict[frozenset[tuple[str, Any]], float]:
        """What was added to a metric, by its dimensions; of a histogram the sum, of a gauge the value."""
        return {
            dimensions: value - self._before.get((metric, dimensions), 0)
            for (metric, dimensions), value in self._values().items()
            if metric == name and value != self._before.get((metric, dimensions), 0)
        }

    def _values(self) -> dict[tuple[str, frozenset[tuple[str, Any]]], float]:
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {
            (metric.name, frozenset((point.attributes or {}).items())): _value(point)
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def dimensions(**given: Any) -> frozenset[tuple[str, Any]]:
    return frozenset(given.items())


def _value(point: Any) -> float:
    return float(point.value if isinstance(point, NumberDataPoint) else point.sum)


@contextmanager
def listening() -> Iterator[Told]:
    """Listen to what is told within."""
    told = _told()
    told.begin()
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(told.handler)
    try:
        yield told
    finally:
        logger.removeHandler(told.handler)
        logger.setLevel(level)


@lru_cache(maxsize=1)
def _told() -> Told:
    return Told()
