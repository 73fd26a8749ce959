"""What the minutes of one endpoint say about its use. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.idle.decision import Use

MINUTE = timedelta(minutes=1)
SETTLED = timedelta(minutes=5)
"""An own request younger than this is not subtracted: it may not be counted yet, and the one that is was another's."""


@dataclass(frozen=True)
class OwnRequest:
    """A request that this app made and that was answered. deployment: the one that answered."""

    endpoint: str
    deployment: str
    started: datetime
    ended: datetime


@dataclass(frozen=True)
class Asked:
    """An endpoint to read. since: from when on its requests matter. own: this app's requests to it."""

    name: str
    id: str
    location: str
    since: datetime
    deployments: tuple[str, ...]
    own: Sequence[OwnRequest] = ()


@dataclass(frozen=True)
class Unread:
    """Nothing is known of an endpoint's use. fault: why, for people."""

    fault: str


@dataclass(frozen=True)
class Counted:
    """Requests of one minute that one deployment answered with one status."""

    minute: datetime
    deployment: str
    status: str
    requests: float


@dataclass(frozen=True)
class Measured:
    """What Azure Monitor says of one endpoint; only minutes in which there was something.

    connected: clients by the minute. alive: the newest minute in which an instance of a deployment reported.
    """

    requests: Sequence[Counted]
    connected: Mapping[datetime, float]
    alive: Mapping[str, datetime]


@dataclass(frozen=True)
class Reading:
    """The use that others made of an endpoint."""

    others: Sequence[Counted]
    connected_at: datetime | None
    alive: Mapping[str, datetime]
    own_requests: float

    def use(self, deployment: str | None = None, since: datetime | None = None) -> Use:
        """Return the use of the endpoint, or of one deployment.

        Args: since: requests are counted from then on; it may have been read for longer, because of a warning.
        Azure Monitor does not tell connections by deployment, so a deployment's `connected_at` is not known.
        An endpoint's figures are as complete as those of its deployment that reported last: one that has failed never
        reports.
        """
        if deployment is None:
            counted, alive = self.others, list(self.alive.values())
        else:
            name = deployment.lower()
            counted = [one for one in self.others if one.deployment == name]
            alive = [self.alive[name]] if name in self.alive else []
        return Use(
            requests=sum(one.requests for one in counted if since is None or one.minute + MINUTE > since),
            last_request_at=max((one.minute for one in counted), default=None),
            connected_at=self.connected_at if deployment is None else None,
            known_until=max(alive, default=None),
        )


def minute_of(moment: datetime) -> datetime:
    """Return the minute in which a moment lies, as Azure Monitor counts."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def reading(asked: Asked, measured: Measured, now: datetime) -> Reading:
    """Leave out what lies before the window and what this app asked itself."""
    begin = minute_of(asked.since)
    counted = [one for one in measured.requests if one.minute >= begin and one.requests > 0]
    # Started before the window: it may have been counted there, and would take away another's request here.
    own = [one for one in asked.own if one.started >= begin and one.ended <= now - SETTLED]
    others = without_own(counted, own)
    total = sum(one.requests for one in counted) - sum(one.requests for one in others)
    connected = {minute: clients for minute, clients in measured.connected.items() if minute >= begin and clients > 0}
    return Reading(others, _connected_at(connected, own), measured.alive, total)


def without_own(counted: Sequence[Counted], own: Iterable[OwnRequest]) -> list[Counted]:
    """Take one counted request away for each own one: the same deployment's, a success, from the minute of its start
    to the minute after its end. What finds none takes none.

    Where several minutes have one, the oldest loses it: what is left looks newer than it may be, never older.
    """
    left: dict[tuple[str, datetime, str], float] = defaultdict(float)
    for one in counted:
        left[one.deployment, one.minute, one.status] += one.requests
    minutes: dict[tuple[str, datetime], list[tuple[str, datetime, str]]] = defaultdict(list)
    for key in sorted(left):
        if key[2].startswith("2"):
            minutes[key[0], key[1]].append(key)
    for request in sorted(own, key=lambda one: one.ended):
        for minute in _span(request):
            found = [key for key in minutes[request.deployment.lower(), minute] if left[key] >= 1]
            if found:
                left[found[0]] -= 1
                break
    return [
        Counted(minute, deployment, status, requests)
        for (deployment, minute, status), requests in left.items()
        if requests > 0
    ]


def _connected_at(connected: Mapping[datetime, float], own: Sequence[OwnRequest]) -> datetime | None:
    """Return the newest minute with more clients than this app was itself."""
    clients: dict[datetime, int] = defaultdict(int)
    for request in own:
        for minute in _span(request):
            clients[minute] += 1
    return max((minute for minute, found in connected.items() if found > clients[minute]), default=None)


def _span(request: OwnRequest) -> Iterable[datetime]:
    minute, last = minute_of(request.started), minute_of(request.ended) + MINUTE
    while minute <= last:
        yield minute
        minute += MINUTE
