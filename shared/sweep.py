"""One pass of the idle-endpoint cleanup: look at every endpoint that is ours, and remove what nobody uses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
from shared.runs import endpoint_lock
from shared.runs.announce import announce
from shared.runs.options import effective
from shared.runs.record import Run, wants_work
from shared.runs.states import RunState
from shared.runs.store import Claim
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
    # After the endpoints: what goes live in between is live here, with an endpoint that is not in the list.
    live = _live_runs(services)
    reports = [_one(services, endpoint, live, traffic, trigger, dry_run) for endpoint in found]
    if not dry_run:
        _retire_vanished(services, {endpoint.name for endpoint in found}, trigger)
    removed = sum(report.action == "removed" for report in reports)
    _log.info("sweep (%s): %d endpoints looked at, %d removed", trigger, len(reports), removed)
    return SweepReport(started_at=started_at, dry_run=dry_run, endpoints=reports)


def list_ours(services: Services) -> Sequence[tuple[Endpoint, Run | None]]:
    """Return the endpoints that carry our tag, with their runs."""
    found = [one for one in endpoints.list_endpoints(services.azureml) if RUN_TAG in one.tags]
    live = _live_runs(services) if found else {}
    return [(endpoint, _owner(services, endpoint, live)) for endpoint in found]


def remove_endpoint(services: Services, name: str, *, trigger: str, reason: str) -> Run | None:
    """Begin to remove an endpoint of ours, and retire its run.

    Raises: EndpointNotFoundError: not there, or not ours; ActionRefusedError: its run is still on its way;
    EndpointBusyError: another run is being rolled out on it; RunBusyError.
    """
    endpoint = endpoints.find_endpoint(services.azureml, name)
    if endpoint is None or RUN_TAG not in endpoint.tags:
        raise EndpointNotFoundError(name)
    run = _owner(services, endpoint, _live_runs(services))
    if run is not None and wants_work(run):
        raise ActionRefusedError(f"Run {run.id} is {run.state} and needs its endpoint. POST /api/runs/{run.id}/cancel.")
    return _remove(services, endpoint, run, trigger=trigger, reason=reason)


def _live_runs(services: Services) -> Mapping[str, Run]:
    """Return the live runs by their endpoints."""
    return {str(run.endpoint): run for run in services.store.in_state(RunState.LIVE)}


def _owner(services: Services, endpoint: Endpoint, live: Mapping[str, Run]) -> Run | None:
    """Return the run of an endpoint that is ours: the one that its tag names; of a shared one, the one that is live.

    The tag of a shared endpoint changes with its traffic, and back; the run that is recorded as live there owns it.
    """
    tagged = services.store.find(endpoint.tags[RUN_TAG])
    if tagged is not None and (wants_work(tagged) or tagged.state == RunState.LIVE):
        return tagged
    return live.get(endpoint.name, tagged)


def _one(
    services: Services, endpoint: Endpoint, live: Mapping[str, Run], traffic: Traffic, trigger: str, dry_run: bool
) -> EndpointReport:
    """Look at one endpoint; its trouble is reported and hides no other's."""
    run: Run | None = None
    requests: float | None = None
    try:
        with understood(f"sweeping endpoint {endpoint.name}"):
            run = _owner(services, endpoint, live) if RUN_TAG in endpoint.tags else None
            reason = _untouchable(services, endpoint, run)
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


def _untouchable(services: Services, endpoint: Endpoint, run: Run | None) -> str | None:
    """Return why an endpoint must be left alone, None when it may be looked at further."""
    if RUN_TAG not in endpoint.tags:
        return "not made by this app"
    if run is None:
        return "made by this app, but its run is not known here"
    if run.endpoint != endpoint.name:
        return f"carries the tag of run {run.id}, whose endpoint is another one"
    if endpoint.state == DELETING:
        return "is being deleted"
    if wants_work(run):
        return f"its run is {run.state}"
    holder = endpoint_lock.holder_of(services, endpoint.name)
    return f"run {holder} is being rolled out on it" if holder is not None else None


def _decide(services: Services, endpoint: Endpoint, run: Run, traffic: Traffic) -> tuple[bool, str, float | None]:
    if run.state != RunState.LIVE:
        return True, f"left over: its run is {run.state}", None
    if _is_empty(services, endpoint, run):
        return True, f"deployment {endpoint.name}/{run.deployment} was removed outside this app", None
    now, policy = services.now(), policy_of(services, run)
    requests = traffic.requests_since(endpoint.id, now - policy.idle_after, now)
    # An endpoint starts to age when it begins to answer, not when its creation began.
    verdict = judge(policy, created_at=run.state_since, requests=requests, now=now)
    return verdict.idle, verdict.reason, requests


def _is_empty(services: Services, endpoint: Endpoint, run: Run) -> bool:
    """Tell whether a live run's deployment is gone and nothing else answers; asked only where no traffic is routed."""
    if any(endpoint.traffic.values()) or run.deployment is None:
        return False
    return endpoints.find_deployment(services.azureml, endpoint.name, run.deployment) is None


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

    Raises: RunBusyError: a worker is at the run, or it has changed since it was looked at; EndpointBusyError.
    """
    if run is None:
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        return None
    with endpoint_lock.held(services, endpoint.name, run.id), services.store.claim(run.id) as claim:
        if claim.run.state != run.state:
            raise RunBusyError(f"run {run.id} has become {claim.run.state} in the meantime")
        endpoints.begin_delete_endpoint(services.azureml, endpoint.name)
        _retire(services, claim, trigger, reason)
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
                _retire(services, claim, trigger, reason)
        except FinetuneError as fault:
            _log.warning("run %s: %s", run.id, fault)


def _retire(services: Services, claim: Claim, trigger: str, reason: str) -> None:
    """Record and tell that a live run's endpoint is gone, once."""
    run = claim.run
    if run.state != RunState.LIVE:
        return
    run.move(RunState.RETIRED, now=services.now(), trigger=trigger, reason=reason)
    run.tell_endpoint_retired(reason, now=services.now())
    announce(services, claim)
    _log.info("run %s: live -> retired (%s): %s", run.id, trigger, reason)
