"""What else costs and is of no use any more: prepared data, rejected uploads, clusters that never go to zero."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from shared.azureml import compute
from shared.azureml.trouble import understood
from shared.errors import FinetuneError
from shared.runs.record import Run
from shared.runs.rows import NEVER, PARTITION
from shared.runs.states import RunState
from shared.services import Services
from shared.sweeps import money
from shared.sweeps.records import Leftover

PREPARED = "prepared"
AT_ONCE = 50
"""Runs whose data one sweep removes; the next one goes on."""
_TIDIED = "tidied_"  # sorts after the runs, see `shared.runs.store`
_ALL_ENDED = (RunState.FAILED, RunState.REJECTED, RunState.CANCELLED, RunState.RETIRED)
_log = logging.getLogger(__name__)


def tidy(services: Services, *, dry_run: bool) -> list[Leftover]:
    """Remove old data, and report what only a person can change. Never stops a sweep.

    Idempotency: what is gone is not there the next time.
    """
    found: list[Leftover] = []
    looks: Sequence[tuple[str, Callable[[], Iterator[Leftover]]]] = (
        ("prepared data", lambda: _data(services, dry_run)),
        ("clusters", lambda: _clusters(services)),
    )
    for what, look in looks:
        try:
            with understood(f"looking for {what} that nobody needs"):
                found += look()
        except FinetuneError as fault:
            _log.warning("sweep: %s", fault)
            found.append(Leftover(what=what, name="", action="error", reason=str(fault)))
    return found


def _data(services: Services, dry_run: bool) -> Iterator[Leftover]:
    """Go through the runs that ended long ago, each once, a few at a time."""
    settings = services.settings
    yield from _of_old_runs(services, "prepared", _ALL_ENDED, settings.prepared_retention, _prepared, dry_run)
    if settings.rejected_retention is not None:
        rejected = (RunState.REJECTED,)
        yield from _of_old_runs(services, "rejected", rejected, settings.rejected_retention, _upload, dry_run)


def _of_old_runs(
    services: Services,
    kind: str,
    states: Sequence[RunState],
    retention: timedelta,
    remove: Callable[[Services, Run, bool], Iterator[Leftover]],
    dry_run: bool,
) -> Iterator[Leftover]:
    """Look at the runs that have become older than the retention since this was last done.

    A run that is written again, because it was brought back, becomes old again later.
    """
    since, until = _done_until(services, kind), services.now() - retention
    old = services.store.untouched(states, since, until)
    for run in old[:AT_ONCE]:
        yield from remove(services, run, dry_run)
    if not dry_run and until > since:
        done = old[AT_ONCE - 1].updated_at if len(old) > AT_ONCE else until
        row = {"PartitionKey": PARTITION, "RowKey": f"{_TIDIED}{kind}", "Until": done}
        services.store.table.upsert_entity(row)


def _done_until(services: Services, kind: str) -> datetime:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        until: datetime = services.store.table.get_entity(PARTITION, f"{_TIDIED}{kind}")["Until"]
    except ResourceNotFoundError:
        return NEVER
    return until


def _prepared(services: Services, run: Run, dry_run: bool) -> Iterator[Leftover]:
    """Remove what was trained on. What a retired run is smoke-tested with stays: it may be brought back."""
    kept = {"test.jsonl", "report.json"} if run.state == RunState.RETIRED else {"report.json"}
    names = [blob.name for blob in services.blobs.within(PREPARED, f"{run.id}/")]
    gone = [name for name in names if name.rpartition("/")[2] not in kept]
    if not dry_run:
        for name in gone:
            services.blobs.delete(PREPARED, name)
    if gone:
        reason = f"run {run.id} is {run.state} since {run.state_since:%Y-%m-%d}"
        action = "would_remove" if dry_run else "removed"
        yield Leftover(what="prepared data", name=f"{PREPARED}/{run.id}", action=action, reason=reason)


def _upload(services: Services, run: Run, dry_run: bool) -> Iterator[Leftover]:
    """Remove an upload that could not be used, if it is still the version that was rejected."""
    dataset = run.dataset
    if run.state != RunState.REJECTED:
        return
    found = services.blobs.describe(dataset.container, dataset.blob)
    if found is None or found.etag != dataset.etag:
        return
    if not dry_run:
        services.blobs.delete(dataset.container, dataset.blob, etag=dataset.etag)
    reason = f"rejected on {run.state_since:%Y-%m-%d}; its report stays"
    yield Leftover(
        what="rejected upload", name=dataset.path, action="would_remove" if dry_run else "removed", reason=reason
    )


def _clusters(services: Services) -> Iterator[Leftover]:
    """Report clusters that cost while they do nothing."""
    for cluster in compute.list_clusters(services.azureml):
        if not cluster.min_instances:
            continue
        one = money.price(services.settings, cluster.size)
        yield Leftover(
            what="cluster",
            name=cluster.name,
            action="reported",
            reason=f"keeps at least {cluster.min_instances} x {cluster.size}, also when nothing runs",
            usd_per_hour=None if one is None else round(one * cluster.min_instances, 4),
        )
