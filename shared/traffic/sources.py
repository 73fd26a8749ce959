"""Where use is read: the batch API, up to fifty resources a call; without rights to that, the API of one resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.azureml.trouble import understood
from shared.identity import PATIENCE, credential
from shared.monitor import monitor
from shared.settings import Settings
from shared.traffic.answers import Answers, Lines, from_batch, from_models
from shared.traffic.readings import Unread

if TYPE_CHECKING:
    from azure.mgmt.monitor import MonitorManagementClient
    from azure.monitor.querymetrics import MetricsClient

MOST_RESOURCES = 50
_ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_API_VERSION = "2024-02-01"
_EVERY_SERIES = 100_000
"""Without `top`, a split answer has ten series and does not say that it left out others (azure-sdk-for-go, 22757)."""


@dataclass(frozen=True)
class Metric:
    """A metric and the dimensions to split it by. Azure Monitor averages over what it is not split by."""

    name: str
    namespace: str
    splits: tuple[str, ...] = ()

    @property
    def filter(self) -> str | None:
        """The expression that splits."""
        return " and ".join(f"{name} eq '*'" for name in self.splits) or None


REQUESTS = Metric("RequestsPerMinute", _ENDPOINTS, ("deployment", "statusCode"))
CONNECTIONS = Metric("ConnectionsActive", _ENDPOINTS)
HEARTBEAT = Metric("CpuUtilizationPercentage", f"{_ENDPOINTS}/deployments")
"""Every instance reports it every minute as long as it lives; so its newest minute tells how far the figures are."""


@dataclass(frozen=True)
class Span:
    """From the beginning of one minute to that of another."""

    begin: datetime
    end: datetime


class Batch:
    """The batch API of one region."""

    def __init__(self, url: str, region: str) -> None:
        self._client = _client(url, region)

    def ask(self, metric: Metric, ids: Sequence[str], span: Span, timeout_s: float) -> Answers:
        """Ask once about at most `MOST_RESOURCES` resources of one subscription.

        Raises: TransientError; StepError: refused as a whole.
        """
        from azure.core.rest import HttpRequest

        parameters = {
            "api-version": _API_VERSION,
            "starttime": _written(span.begin),
            "endtime": _written(span.end),
            "interval": "PT1M",
            "metricnamespace": metric.namespace,
            "metricnames": metric.name,
            "aggregation": "average",
            **({"filter": metric.filter, "top": _EVERY_SERIES} if metric.filter else {}),
        }
        subscription = ids[0].split("/")[2]
        request = HttpRequest(
            "POST",
            f"/subscriptions/{subscription}/metrics:getBatch",
            params=parameters,
            json={"resourceids": list(ids)},
            headers={"Accept": "application/json"},
        )
        with understood(f"reading {metric.name} of {len(ids)} resources"):
            # As a stream, because the SDK parses a body that it has whole, and its points are too many for that.
            with self._client.send_request(request, stream=True, read_timeout=timeout_s) as response:
                response.read()
                response.raise_for_status()
            return from_batch(response.content, ids, metric.name)


class Single:
    """The metrics API of Azure Resource Manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def ask(self, metric: Metric, resource: str, span: Span, timeout_s: float) -> Lines | Unread:
        """Ask once about one resource. Raises: TransientError; StepError: refused."""
        with understood(f"reading {metric.name} of {resource.rpartition('/')[2]}"):
            answer = self._client.metrics.list(
                resource,
                timespan=f"{_written(span.begin)}/{_written(span.end)}",
                # The text, because azure-mgmt-monitor sends a timedelta in a form that Azure refuses.
                interval="PT1M",
                metricnamespace=metric.namespace,
                metricnames=metric.name,
                aggregation="Average",
                filter=metric.filter,
                top=_EVERY_SERIES if metric.filter else None,
                retry_total=0,
                read_timeout=timeout_s,
            )
        return from_models(answer, metric.name)

    @cached_property
    def _client(self) -> MonitorManagementClient:
        return monitor(self._settings)


def _client(url: str, region: str) -> MetricsClient:
    """Make a client of the batch API. Sends nothing.

    Args: url: with `{region}` where the region stands, as "https://{region}.metrics.monitor.azure.com"; without it,
    this is who tokens are for.
    """
    from azure.monitor.querymetrics import MetricsClient

    audience = url.replace("{region}.", "").replace("{region}", "")
    # Asked again by the pass, which knows how long it may take.
    patience = {**PATIENCE, "retry_total": 0}
    return MetricsClient(url.replace("{region}", region), credential(), audience=audience, **patience)


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
