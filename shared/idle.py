"""When an endpoint is idle: the policy, pure; and its traffic, from Azure Monitor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.azureml.trouble import understood
from shared.errors import StepError, TransientError
from shared.monitor import monitor
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.mgmt.monitor import MonitorManagementClient

METRIC = "RequestsPerMinute"
GRAIN = timedelta(minutes=1)
_ISO = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class IdlePolicy:
    """What counts as idle for one endpoint."""

    idle_after: timedelta
    grace: timedelta
    keep: bool = False


@dataclass(frozen=True)
class Verdict:
    """Whether an endpoint is idle, and why; the reason is for people."""

    idle: bool
    reason: str


def judge(policy: IdlePolicy, *, created_at: datetime | None, requests: float | None, now: datetime) -> Verdict:
    """Say whether an endpoint is idle. Unknown is not idle.

    Args: requests: answered in the last `idle_after`; None: not known.
    """
    if policy.keep:
        return Verdict(False, "kept by option")
    if created_at is None:
        return Verdict(False, "its age is unknown")
    age = now - created_at
    if age < max(policy.grace, policy.idle_after):
        return Verdict(False, f"only {_rough(age)} old")
    if requests is None:
        return Verdict(False, "its traffic is unknown")
    if requests > 0:
        return Verdict(False, f"{requests:g} requests in the last {_rough(policy.idle_after)}")
    return Verdict(True, f"no request in the last {_rough(policy.idle_after)}")


class Traffic:
    """Requests of online endpoints, as Azure Monitor counts them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def requests_since(self, endpoint_id: str, since: datetime, now: datetime) -> float | None:
        """Return the number of requests since a time, None when it cannot be known.

        Azure counts by the minute, so the minute in which `since` lies counts as a whole.
        """
        begin = since.astimezone(UTC).replace(second=0, microsecond=0)
        end = now.astimezone(UTC).replace(second=0, microsecond=0) + GRAIN
        try:
            with understood(f"reading {METRIC} of {endpoint_id.rpartition('/')[2]}"):
                answer = self._client.metrics.list(
                    endpoint_id,
                    timespan=f"{begin:{_ISO}}/{end:{_ISO}}",
                    # The text, because azure-mgmt-monitor sends a timedelta in a form that Azure refuses.
                    interval="PT1M",
                    metricnames=METRIC,
                    aggregation="Average",
                )
        except (TransientError, StepError):
            return None
        return _sum(answer)

    @cached_property
    def _client(self) -> MonitorManagementClient:
        return monitor(self._settings)


def _sum(answer: Any) -> float | None:
    """Add up the minutes; a minute without a value had no request, nor had a metric without any series.

    No metric, or one that Azure could not read (it answers 200 then too), is not known.
    """
    if not answer.value or any(metric.error_code not in (None, "Success") for metric in answer.value):
        return None
    series = [point for metric in answer.value for one in metric.timeseries for point in one.data]
    return sum(point.average or 0.0 for point in series)


def _rough(span: timedelta) -> str:
    """Return a duration for people.

    >>> _rough(timedelta(hours=8)), _rough(timedelta(seconds=90)), _rough(timedelta(days=2, hours=3))
    ('8 h', '90 s', '51 h')
    """
    seconds = span.total_seconds()
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
