"""What endpoints cost by the hour, and what removing them has saved: list prices, enough to decide by, not a bill.

Saved is what would have been paid had it been left running, from the removal until it was brought back, and for 30 days
at most: nobody would have paid for ever. An unknown price is unknown, never nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.azureml.endpoints import Deployment
from shared.runs.record import Run
from shared.runs.rows import PARTITION
from shared.services import Services
from shared.settings import Settings

COUNTED_FOR = timedelta(days=30)
PREFIX = "saved_"
"""Sorts after the runs, see `shared.runs.store`."""
_LAST = "saved`"
_UNKNOWN = -1.0


@dataclass(frozen=True)
class Saved:
    """The sum of what was saved, and how many removals of VM sizes without a price are not in it."""

    usd: float
    unpriced: int


def price(settings: Settings, size: str) -> float | None:
    """Return US dollars an hour for one machine: the setting PRICES, else the table of list prices, else None."""
    from shared.costs.machines import machine

    return machine(size, settings.price(size)).usd_per_hour


def hourly(settings: Settings, deployments: Iterable[Deployment]) -> float | None:
    """Return what deployments cost an hour together, None when the price or the number of one is not known."""
    total = 0.0
    for deployment in deployments:
        one = price(settings, deployment.instance_type)
        if one is None or deployment.instance_count is None:
            return None
        total += one * deployment.instance_count
    return round(total, 4)


def unpriced(settings: Settings, deployments: Iterable[Deployment]) -> list[str]:
    """Return the VM sizes without a price."""
    sizes = {deployment.instance_type for deployment in deployments}
    return sorted(size for size in sizes if price(settings, size) is None)


def together(amounts: Sequence[float | None]) -> float | None:
    """Add up; None when one is not known."""
    known = [amount for amount in amounts if amount is not None]
    return round(sum(known), 4) if len(known) == len(amounts) else None


def enter(
    services: Services,
    endpoint: str,
    run: Run | None,
    action: str,
    usd_per_hour: float | None,
    *,
    deployment: str = "",
) -> None:
    """Write into the ledger that something was removed and costs nothing from now on.

    Args: run: whose life ended by it; None: an endpoint without one, or a `deployment` beside one that lives on.
    Idempotency: run and endpoint, of one removal; the same one entered again by a worker that took over is one line.
    """
    now = services.now()
    since = run.state_since if run is not None else now
    subject = f"{endpoint}_{deployment}" if deployment else endpoint
    services.store.table.upsert_entity(
        {
            "PartitionKey": PARTITION,
            "RowKey": f"{PREFIX}{subject.lower()}_{since:%Y%m%d%H%M%S}_{action}",
            "Endpoint": endpoint,
            "Deployment": deployment,
            "RunId": run.id if run is not None else "",
            "Action": action,
            "Since": since,
            "At": now,
            "UsdPerHour": _UNKNOWN if usd_per_hour is None else usd_per_hour,
        }
    )


def saved(services: Services, live: Mapping[str, Run]) -> Saved:
    """Add up the ledger until now. live: the live runs by their endpoint; one that is back saves nothing any more."""
    rows = services.store.table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": PREFIX, "last": _LAST},
    )
    by_endpoint: dict[str, list[Any]] = {}
    for row in rows:
        by_endpoint.setdefault(row["Endpoint"], []).append(row)
    usd, without, now = 0.0, 0, services.now()
    for endpoint, entries in by_endpoint.items():
        back_at = live[endpoint].state_since if endpoint in live else now
        for row, hours in hours_saved(sorted(entries, key=lambda row: row["At"]), back_at, now):
            if row["UsdPerHour"] == _UNKNOWN:
                without += 1
            else:
                usd += row["UsdPerHour"] * hours
    return Saved(round(usd, 2), without)


def hours_saved(entries: Sequence[Any], back_at: datetime, now: datetime) -> Iterator[tuple[Any, float]]:
    """Yield the entries of one endpoint, oldest first, and for how many hours each saved.

    Args: back_at: since when the endpoint is there again after the last removal of it; now, when it is not.
    """
    whole = [row for row in entries if not row.get("Deployment")]
    # Each later removal tells since when it had been there again.
    for row, until in zip(whole, [*(later["Since"] for later in whole[1:]), back_at], strict=False):
        yield row, _hours(row, until, now)
    for at, row in enumerate(entries):
        if row.get("Deployment"):
            # One beside another: until that one's endpoint went, or there was one of its name to remove again.
            later = (one["At"] for one in entries[at + 1 :] if one.get("Deployment") in (None, "", row["Deployment"]))
            yield row, _hours(row, next(later, now), now)


def _hours(row: Any, back_at: datetime, now: datetime) -> float:
    """Return for how long an entry saved. One that was only scaled down goes on saving while its run is live."""
    at: datetime = row["At"]
    until = min(now, at + COUNTED_FOR)
    if row["Action"] != "scaled_down" or back_at > at:
        until = min(until, back_at)
    return max(0.0, (until - at).total_seconds() / 3600)
