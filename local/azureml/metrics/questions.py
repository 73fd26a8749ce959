"""What a client wants to know of metrics, from either API: the query of one resource, or that of a batch. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local import names
from local.azureml.metrics import state
from local.azureml.metrics.state import Filter, Metric

MOST_RESOURCES = 50
_TOP = 10
"""So many series come without `top` when there is a filter: all others are left out, and nothing says so."""
_ID = re.compile(
    rf"{names.WORKSPACE_ID}/onlineEndpoints/(?P<endpoint>[^/]+)(?:/deployments/(?P<deployment>[^/]+))?", re.IGNORECASE
)


@dataclass(frozen=True)
class Question:
    """A query whose parts are all understood. `top`: how many series may be answered; None: all."""

    namespace: str
    metrics: list[tuple[Metric, list[str]]]
    start: datetime
    end: datetime
    interval: str
    grain: timedelta
    wanted: Filter
    top: int | None


@dataclass(frozen=True)
class Resource:
    """An online endpoint, or a deployment of one. `id` as the client wrote it."""

    id: str
    endpoint: str
    deployment: str | None

    @property
    def namespace(self) -> str:
        return state.ENDPOINTS if self.deployment is None else state.DEPLOYMENTS


def of_resource(query: Mapping[str, str], namespace: str, now: datetime) -> Question:
    """Read the query of the metrics API. Raises: ValueError: in words for the client."""
    asked = {name.lower(): value for name, value in query.items()}
    _check_namespace(asked.get("metricnamespace", namespace), namespace)
    return _question(asked, asked.get("$filter"), state.parse_timespan(asked.get("timespan"), now), namespace)


def of_batch(query: Mapping[str, str], body: Mapping[str, Any], now: datetime) -> tuple[Question, list[Resource]]:
    """Read a batch: one namespace, at most 50 resources, all of that namespace's type.

    Raises: ValueError: in words for the client.
    """
    asked = {name.lower(): value for name, value in query.items()}
    for required in ("metricnamespace", "metricnames"):
        if not asked.get(required):
            raise ValueError(f"The query parameter {required} is required.")
    namespace = asked["metricnamespace"]
    if not state.metrics_in(namespace):
        raise ValueError(f"Metric namespace {namespace} is not supported.")
    resources = _resources(body.get("resourceids"))
    for resource in resources:
        _check_namespace(namespace, resource.namespace)
    start, end = asked.get("starttime"), asked.get("endtime")
    if end and not start:
        raise ValueError("starttime is required where endtime is given.")
    span = state.parse_timespan(f"{start}/{end or now.isoformat()}" if start else None, now)
    return _question(asked, asked.get("filter"), span, resources[0].namespace), resources


def _question(asked: Mapping[str, str], text: str | None, span: tuple[datetime, datetime], namespace: str) -> Question:
    interval = asked.get("interval") or "PT1M"
    wanted = state.parse_filter(text)
    metrics = _metrics(asked.get("metricnames"), namespace)
    for metric in metrics:
        state.check_dimensions(metric, wanted)
    return Question(
        namespace=namespace,
        metrics=[(metric, _aggregations(asked.get("aggregation"), metric)) for metric in metrics],
        start=span[0],
        end=span[1],
        interval=interval,
        grain=state.parse_grain(interval),
        wanted=wanted,
        top=_top(asked.get("top")) if wanted.allowed else None,
    )


def _resources(ids: Any) -> list[Resource]:
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) for one in ids):
        raise ValueError("The body has no resourceids: a list of resource ids is expected.")
    if len(ids) > MOST_RESOURCES:
        raise ValueError(f"The number of resource ids ({len(ids)}) exceeds the limit of {MOST_RESOURCES}.")
    found = []
    for one in ids:
        match = _ID.fullmatch("/" + one.strip("/"))
        if match is None:
            raise ValueError(
                f"{one} is not the id of an online endpoint, or of a deployment of one, of this workspace."
            )
        found.append(Resource(one, match["endpoint"], match["deployment"]))
    return found


def _check_namespace(asked: str, namespace: str) -> None:
    if asked.lower() != namespace.lower():
        raise ValueError(f"Metric namespace {asked} is not that of the resource, which is {namespace}.")


def _top(text: str | None) -> int:
    if text is None:
        return _TOP
    if not text.isdigit() or not 0 < int(text) < 2**31:
        raise ValueError(f"Detected invalid TopN value {text}: should be Int value.")
    return int(text)


def _metrics(asked: str | None, namespace: str) -> list[Metric]:
    known = state.metrics_in(namespace)
    wanted = [name.strip() for name in (asked or "").split(",") if name.strip()]
    unknown = [name for name in wanted if name.lower() not in known]
    if unknown:
        valid = ",".join(metric.name for metric in known.values())
        raise ValueError(f"Failed to find metric configuration for metric: {unknown[0]}. Valid metrics: {valid}")
    return [known[name.lower()] for name in wanted] or [next(iter(known.values()))]


def _aggregations(asked: str | None, metric: Metric) -> list[str]:
    wanted = [name.strip().lower() for name in (asked or metric.aggregation).split(",") if name.strip()]
    unknown = [name for name in wanted if name not in state.AGGREGATIONS]
    if unknown:
        raise ValueError(f"aggregation {unknown[0]!r} is not one of {', '.join(state.AGGREGATIONS)}")
    return wanted
