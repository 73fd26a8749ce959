"""One pass of the idle-endpoint cleanup: look at every endpoint that is ours, and remove what nobody uses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import msgspec

from shared.azureml import endpoints
from shared.azureml.endpoints import DELETING, Endpoint
from shared.azureml.pipeline import RUN_TAG
from shared.azureml.trouble import understood
from shared.errors import (
    ActionRefusedError,
    EndpointNotFoundError,
    FinetuneError,
    RunBusyError,
)
from shared.idle import IdlePolicy, Traffic, judge
from shared.runs.options import effective
from shared.runs.record import Run, RunState, wants_work
from shared.runs.status import write_status
from shared.services import Services

_log = logging.getLogger(__name__)


class EndpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found of one endpoint, and what it did: kept, removed, would_remove, error."""

    endpoint: str
    run: str | None
    project: str | None
    state: str
    requests: float | None
    action: str
    reason: str


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """One sweep."""

    started_at: datetime
    dry_run: bool
    endpoints: list[EndpointReport]


def sweep(services: Services, *, trigger: str, dry_run: bool = False) -> SweepReport:
    """Look at every endpoint once; remove those that are ours and idle, or that no run owns any more.

    Idempotency: an endpoint that is being deleted, or is gone, is left alone; a run is retired once.
    """
    started_at = services.now()
    traffic = Traffic(services.settings)
    found = endpoints.list_endpoints(services.azureml)
    reports = [_one(services, endpoint, traffic, trigger, dry_run) for endpoint in found]
    if not dry_run:
        _retire_vanished(services, {endpoint.name for endpoint in found}, trigger)
    removed = sum(report.action == "removed" for report in reports)
    _log.info("sweep (%s): %d endpoints looked at, %d removed", trigger, len(reports), removed)
    return SweepReport(started_at=started_at, dry_run=dry_run, endpoints=reports)


def list_ours(services: Services) -> Sequence[tuple[Endpoint, Run | None]]:
    """Return the endpoints that carry our tag, with their runs."""
    return [
        (endpoint, services.store.find(endpoint.tags[RUN_TAG]))
        for endpoint in endpoints.list_endpoints(services.azureml)
        if RUN_TAG in endpoint.tags
    ]


def remove_endpoint(services: Services, name: str, *, trigger: str, reason: str) -> Run | None:
    """Begin to remove an endpoint of ours, and retire its run.

    Raises: EndpointNotFoundError: not there, or not ours; ActionRefusedError: its run is still on its way;
    RunBusyError.
    """
    endpoint = endpoints.find_endpoint(services.azureml, name)
    if endpoint is None or RUN_TAG not in endpoint.tags:
        raise EndpointNotFoundError(name)
    run = services.store.find(endpoint.tags[RUN_TAG])
    if run is not None and wants_work(run):
        raise ActionRefusedError(f"Run {run.id} is {run.state} and needs its endpoint. POST /api/runs/{run.id}/cancel.")
    return _remove(services, endpoint, run, trigger=trigger, reason=reason)


def _one(services: Services, endpoint: Endpoint, traffic: Traffic, trigger: str, dry_run: bool) -> EndpointReport:
    """Look at one endpoint; its trouble is reported and hides no other's."""
    run: Run | None = None
    requests: float | None = None
    try:
        with understood(f"sweeping endpoint {endpoint.name}"):
            run = services.store.find(endpoint.tags[RUN_TAG]) if RUN_TAG in endpoint.tags else None
            reason = _untouchable(endpoint, run)
            action = "kept"
            if reason is None and run is not None:
                idle, reason, requests = _decide(services, endpoint, run, traffic)
                if idle:
                    action = _carry_out(services, endpoint, run, trigger, reason, dry_run)
    except FinetuneError as fault:
        _log.warning("endpoint %s: %s", endpoint.name, fault)
        action, reason = "error", str(fault)
    return EndpointReport(
        endpoint=endpoint.name,
        run=run.id if run else None,
        project=run.project if run else None,
        state=endpoint.state,
        requests=requests,
        action=action,
        reason=reason or "",
    )


def _untouchable(endpoint: Endpoint, run: Run | None) -> str | None:
    """Return why an endpoint must be left alone, None when it may be looked at further."""
    if RUN_TAG not in endpoint.tags:
        return "not made by this app"
    if run is None:
        return "made by this app, but its run is not known here"
    if run.endpoint != endpoint.name:
        return f"carries the tag of run {run.id}, whose endpoint is another one"
    if endpoint.state == DELETING:
        return "is being deleted"
    return f"its run is {run.state}" if wants_work(run) else None


def _decide(services: Services, endpoint: Endpoint, run: Run, traffic: Traffic) -> tuple[bool, str, float | None]:
    if run.state != RunState.LIVE:
        return True, f"left over: its run is {run.state}", None
    now, policy = services.now(), policy_of(services, run)
    requests = traffic.requests_since(endpoint.id, now - policy.idle_after, now)
    # An endpoint starts to age when it begins to answer, not when its creation began.
    verdict = judge(policy, created_at=run.state_since, requests=requests, now=now)
    return verdict.idle, verdict.reason, requests


def policy_of(services: Services, run: Run) -> IdlePolicy:
    """Return the policy of a run's endpoint: its own options over the settings."""
    options = effective(run.options, services.settings)
    return IdlePolicy(options.idle_after, services.settings.idle_grace, options.keep)


def _carry_out(services: Services, endpoint: Endpoint, run: Run, trigger: str, reason: str, dry_run: bool) -> str:
    if dry_run:
        return "would_remove"
    _remove(services, endpoint, run, trigger=trigger, reason=reason)
    return "removed"


def _remove(services: Services, endpoint: Endpoint, run: Run | None, *, trigger: str, reason: str) -> Run | None:
    """Delete first, record after: what is recorded as retired does not bill.

    Raises: RunBusyError: a worker is at the run, or it has changed since it was looked at.
    """
    if run is None:
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        return None
    with services.store.claim(run.id) as claim:
        if claim.run.state != run.state:
            raise RunBusyError(f"run {run.id} has become {claim.run.state} in the meantime")
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        retired = _retire(services, claim.run, trigger, reason)
    if retired:
        _tell(services, claim.run, reason)
    return claim.run


def _retire_vanished(services: Services, names: set[str], trigger: str) -> None:
    """A live run whose endpoint is not there any more was retired by someone else's hand: say so."""
    for run in services.store.in_state(RunState.LIVE):
        if run.endpoint in names:
            continue
        try:
            # Asked once more by name: the list may be older than the run's going live.
            if endpoints.find_endpoint(services.azureml, str(run.endpoint)) is not None:
                continue
            reason = f"endpoint {run.endpoint} was removed outside this app"
            with services.store.claim(run.id) as claim:
                retired = _retire(services, claim.run, trigger, reason)
        except FinetuneError as fault:
            _log.warning("run %s: %s", run.id, fault)
            continue
        if retired:
            _tell(services, claim.run, reason)


def _retire(services: Services, run: Run, trigger: str, reason: str) -> bool:
    """Record that a live run's endpoint is gone; False when it was recorded already."""
    if run.state != RunState.LIVE:
        return False
    run.move(RunState.RETIRED, now=services.now(), trigger=trigger, reason=reason)
    _log.info("run %s: live -> retired (%s): %s", run.id, trigger, reason)
    return True


def _tell(services: Services, run: Run, reason: str) -> None:
    write_status(services, run)
    services.notifier.run_state_changed(run)
    services.notifier.endpoint_retired(run, reason)
