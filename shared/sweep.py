"""One pass of the idle-endpoint cleanup: look at every endpoint that is ours, and remove what nobody uses."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shared.azureml import endpoints
from shared.azureml.endpoints import RUN_TAG, Endpoint
from shared.errors import (
    ActionRefusedError,
    EndpointNotFoundError,
    FinetuneError,
    RunBusyError,
    StepError,
    TransientError,
)
from shared.idle import IdlePolicy, Traffic, judge
from shared.runs.lifecycle import write_status
from shared.runs.record import MOVING, Run, RunState
from shared.services import Services
from shared.settings import parse_duration

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
    if run is not None and run.state in MOVING:
        raise ActionRefusedError(f"Run {run.id} is {run.state} and needs its endpoint. POST /api/runs/{run.id}/cancel.")
    return _remove(services, endpoint, run, trigger=trigger, reason=reason)


def _one(services: Services, endpoint: Endpoint, traffic: Traffic, trigger: str, dry_run: bool) -> EndpointReport:
    run = services.store.find(endpoint.tags[RUN_TAG]) if RUN_TAG in endpoint.tags else None
    requests: float | None = None
    action, reason = "kept", ""
    if RUN_TAG not in endpoint.tags:
        reason = "not made by this app"
    elif run is None:
        reason = "made by this app, but its run is not known here"
    elif endpoint.state == "Deleting":
        reason = "is being deleted"
    elif run.state in MOVING:
        reason = f"its run is {run.state}"
    else:
        action, reason, requests = _decide(services, endpoint, run, traffic)
        if action == "remove":
            action, reason = _carry_out(services, endpoint, run, trigger, reason, dry_run)
    return EndpointReport(
        endpoint=endpoint.name,
        run=run.id if run else None,
        project=run.project if run else None,
        state=endpoint.state,
        requests=requests,
        action=action,
        reason=reason,
    )


def _decide(services: Services, endpoint: Endpoint, run: Run, traffic: Traffic) -> tuple[str, str, float | None]:
    if run.state != RunState.LIVE:
        return "remove", f"left over: its run is {run.state}", None
    now, policy = services.now(), policy_of(services, run)
    # A person's endpoint starts to age when it begins to answer, not when its creation began.
    requests = traffic.requests_since(endpoint.id, now - policy.idle_after, now)
    verdict = judge(policy, created_at=run.state_since, requests=requests, now=now)
    return ("remove" if verdict.idle else "kept"), verdict.reason, requests


def policy_of(services: Services, run: Run) -> IdlePolicy:
    """Return the policy of a run's endpoint: its own options over the settings."""
    own: str | None = run.options.get("idle_after")
    idle_after: timedelta = parse_duration(own) if own else services.settings.idle_after
    return IdlePolicy(idle_after, services.settings.idle_grace, bool(run.options.get("keep")))


def _carry_out(
    services: Services, endpoint: Endpoint, run: Run, trigger: str, reason: str, dry_run: bool
) -> tuple[str, str]:
    if dry_run:
        return "would_remove", reason
    try:
        _remove(services, endpoint, run, trigger=trigger, reason=reason)
    except (TransientError, StepError, RunBusyError) as fault:
        _log.warning("endpoint %s was not removed: %s", endpoint.name, fault)
        return "error", str(fault)
    return "removed", reason


def _remove(services: Services, endpoint: Endpoint, run: Run | None, *, trigger: str, reason: str) -> Run | None:
    """Delete first, record after: what is recorded as retired does not bill."""
    if run is None or run.state != RunState.LIVE:
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        return run
    with services.store.claim(run.id) as claim:
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        _retire(services, claim.run, trigger, reason)
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
                _retire(services, claim.run, trigger, reason)
        except (FinetuneError, RunBusyError) as fault:
            _log.warning("run %s: %s", run.id, fault)
            continue
        _tell(services, claim.run, reason)


def _retire(services: Services, run: Run, trigger: str, reason: str) -> None:
    if run.state == RunState.LIVE:
        run.move(RunState.RETIRED, now=services.now(), trigger=trigger, reason=reason)


def _tell(services: Services, run: Run, reason: str) -> None:
    write_status(services, run)
    services.notifier.run_state_changed(run)
    services.notifier.endpoint_retired(run, reason)
