"""The use of many endpoints, read with as few calls as possible."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from shared.errors import AccessDeniedError, FinetuneError, StepError, TransientError
from shared.settings import Settings
from shared.traffic.answers import Answers, Lines
from shared.traffic.readings import MINUTE, Asked, Counted, Measured, Reading, Unread, minute_of, reading
from shared.traffic.sources import CONNECTIONS, HEARTBEAT, MOST_RESOURCES, REQUESTS, Batch, Metric, Single, Span

WORKERS = 4
MOST_POINTS = 50_000
"""So many points, one a minute and series, one call may be answered."""
PATIENCE = timedelta(minutes=2)
OUT_OF_REACH = 3
"""So many times there may be no connection: a firewall stays where it is, and there is another way to ask."""
HEARD = timedelta(hours=1)
"""A deployment whose instances were silent for so long says nothing about how far the figures are."""
_LONGEST_PAUSE_S, _LONGEST_ANSWER_S = 15.0, 60.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    metric: Metric
    region: str
    ids: tuple[str, ...]
    span: Span


class Traffic:
    """Who uses online endpoints, as Azure Monitor counts it."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.cloud.metrics
        self._by_region: dict[str, Batch] = {}
        self._single = Single(settings)

    def read(
        self, asked: Sequence[Asked], now: datetime, *, within: timedelta = PATIENCE
    ) -> dict[str, Reading | Unread]:
        """Read the use of endpoints by others since the time that each asks for.

        Args: within: how long it may take, pauses after throttling included. What is not read by then is `Unread`.
        Returns: by the endpoint's name, an entry for each.
        """
        if not asked:
            return {}
        calls = [*_of_endpoints(asked, now), *_of_deployments(asked, now)]
        batches = (
            {region: self._batch(self._url, region) for region in {call.region for call in calls}} if self._url else {}
        )
        one_pass = _Pass(batches, self._single, time.monotonic() + within.total_seconds())
        found: dict[Metric, Answers] = defaultdict(dict)
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            for call, answers in zip(calls, pool.map(one_pass.answer, calls), strict=True):
                found[call.metric] |= answers
        return {one.name: _read(one, found, now) for one in asked}

    def _batch(self, url: str, region: str) -> Batch:
        """Return the region's client: a new one would begin with a new connection."""
        if region not in self._by_region:
            self._by_region[region] = Batch(url, region)
        return self._by_region[region]


class _Pass:
    """One reading of everything, with the time that it may take and the regions whose batch API it may not use."""

    def __init__(self, batches: dict[str, Batch], single: Single, until: float) -> None:
        self._batches, self._single, self._until = batches, single, until

    def answer(self, call: _Call) -> Answers:
        """Ask in a batch; where that is refused, one by one. Raises nothing: what is not known is `Unread`."""
        batch = self._batches.get(call.region)
        if batch is not None:
            try:
                return self._patiently(lambda left_s: batch.ask(call.metric, call.ids, call.span, left_s))
            except (TransientError, StepError) as fault:
                if isinstance(fault, TransientError) and not _was_out_of_reach(fault):
                    return {resource.lower(): Unread(str(fault)) for resource in call.ids}
                self._give_up(call.region, fault)
        return {resource.lower(): self._one(call, resource) for resource in call.ids}

    def _give_up(self, region: str, fault: FinetuneError) -> None:
        """Leave a region's batch API alone for the rest of the pass, unless it was only these resources' fault."""
        if not isinstance(fault, AccessDeniedError | TransientError):
            return
        if self._batches.pop(region, None) is not None:
            _log.warning("endpoints in %s are read one by one, which takes many more calls: %s", region, fault)

    def _one(self, call: _Call, resource: str) -> Lines | Unread:
        try:
            return self._patiently(lambda left_s: self._single.ask(call.metric, resource, call.span, left_s))
        except (TransientError, StepError) as fault:
            return Unread(str(fault))

    def _patiently(self, ask: Callable[[float], _T]) -> _T:
        """Ask until there is an answer, with pauses, as long as there is time.

        Raises: TransientError: there was none in time; StepError: refused.
        """
        pause_s, out_of_reach = 1.0, 0
        while True:
            left_s = self._until - time.monotonic()
            if left_s <= 0:
                raise TransientError("Azure Monitor was not asked: the time for reading was over")
            try:
                return ask(max(1.0, min(_LONGEST_ANSWER_S, left_s)))
            except TransientError as trouble:
                out_of_reach += _was_out_of_reach(trouble)
                wait_s = trouble.retry_after.total_seconds() if trouble.retry_after else pause_s
                if out_of_reach == OUT_OF_REACH or time.monotonic() + wait_s >= self._until:
                    raise
                time.sleep(wait_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _was_out_of_reach(fault: TransientError) -> bool:
    """Tell whether no connection came about at all, as where a firewall lets only Azure Resource Manager pass."""
    from azure.core.exceptions import ServiceRequestError

    return isinstance(fault.__cause__, ServiceRequestError)


def _of_endpoints(asked: Iterable[Asked], now: datetime) -> Iterator[_Call]:
    """Group endpoints of one region, those with windows of about one length together."""
    for region, members in _by_region(asked).items():
        for group in _groups(sorted(members, key=lambda one: one.since), now):
            span = Span(minute_of(group[0].since), minute_of(now) + MINUTE)
            for metric in (REQUESTS, CONNECTIONS):
                yield _Call(metric, region, tuple(one.id for one in group), span)


def _of_deployments(asked: Iterable[Asked], now: datetime) -> Iterator[_Call]:
    span = Span(minute_of(now - HEARD), minute_of(now) + MINUTE)
    for region, members in _by_region(asked).items():
        ids = [_deployment_id(one, name) for one in members for name in one.deployments]
        for at in range(0, len(ids), MOST_RESOURCES):
            yield _Call(HEARTBEAT, region, tuple(ids[at : at + MOST_RESOURCES]), span)


def _by_region(asked: Iterable[Asked]) -> Mapping[str, list[Asked]]:
    regions: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        regions[one.location.replace(" ", "").lower()].append(one)
    return regions


def _groups(asked: Iterable[Asked], now: datetime) -> Iterator[list[Asked]]:
    """Fill calls, oldest window first: it is the window of all in the call."""
    group: list[Asked] = []
    series = 0
    for one in asked:
        more = max(1, len(one.deployments))
        minutes = (now - (group or [one])[0].since) / MINUTE
        if group and (len(group) == MOST_RESOURCES or (series + more) * minutes > MOST_POINTS):
            yield group
            group, series = [], 0
        group.append(one)
        series += more
    if group:
        yield group


def _deployment_id(asked: Asked, name: str) -> str:
    return f"{asked.id}/deployments/{name}"


def _read(asked: Asked, found: Mapping[Metric, Answers], now: datetime) -> Reading | Unread:
    requests, connections = (found[metric][asked.id.lower()] for metric in (REQUESTS, CONNECTIONS))
    if isinstance(requests, Unread):
        return requests
    if isinstance(connections, Unread):
        return connections
    alive: dict[str, datetime] = {}
    silent: list[Unread] = []
    for name in asked.deployments:
        heard = found[HEARTBEAT][_deployment_id(asked, name).lower()]
        if isinstance(heard, Unread):
            silent.append(heard)
        elif minutes := [minute for line in heard for minute in line.minutes]:
            alive[name.lower()] = max(minutes)
    if silent and len(silent) == len(asked.deployments):
        return silent[0]
    connected: dict[datetime, float] = defaultdict(float)
    for line in connections:
        for minute, clients in line.minutes.items():
            connected[minute] += clients
    return reading(asked, Measured(list(_counted(requests)), connected, alive), now)


def _counted(requests: Lines) -> Iterator[Counted]:
    for line in requests:
        deployment, status = (line.dimensions.get(name, "") for name in ("deployment", "statuscode"))
        for minute, average in line.minutes.items():
            yield Counted(minute, deployment.lower(), status, average)
