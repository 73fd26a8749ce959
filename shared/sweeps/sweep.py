"""One pass of the cleanup: look at every endpoint, warn, remove what was warned of, and record all of it.

A sweep that is cut off loses nothing: what it did is done and remembered, and the next one begins with what it did not
come to. Two sweeps at once there are not.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta

from msgspec.structs import replace as with_fields

from shared import telemetry
from shared.azureml import endpoints
from shared.azureml.endpoints import Endpoint
from shared.azureml.trouble import understood
from shared.errors import FinetuneError
from shared.idle.decision import Do
from shared.idle.findings import Code
from shared.services import Services
from shared.sweeps import acting, archive, leftovers, lock, money
from shared.sweeps.census import Runs, Seen, list_endpoints, look
from shared.sweeps.judging import Verdict, is_begun, judge, judge_deployments
from shared.sweeps.lock import Lock
from shared.sweeps.memory import forget
from shared.sweeps.patience import patiently
from shared.sweeps.records import ACTED, WOULD, Did, EndpointReport, Leftover, SweepReport
from shared.sweeps.retiring import finish, retire
from shared.traffic import own
from shared.traffic.readings import Unread

WITHIN = timedelta(minutes=8)
"""A sweep stops by itself before the Functions host would end it, and says what it did not come to."""
AT_ONCE = 200
"""Endpoints that are looked at together: enough for full batches of metrics, few enough to act on fresh figures."""
ACTORS = 8
"""Removals under way at once."""
_ORPHANS = frozenset({"unknown_run", "copied_tag", "left_over"})
"""Codes of endpoints that carry this app's tag and that no run owns."""
OWN_KEPT_FOR = timedelta(days=8)
_log = logging.getLogger(__name__)


@dataclass
class _Pass:
    """A sweep under way."""

    services: Services
    trigger: str
    dry_run: bool
    report: SweepReport
    within: timedelta
    lock: Lock | None = None
    found: list[EndpointReport] = field(default_factory=list)
    unpriced: set[str] = field(default_factory=set)


def sweep(services: Services, *, trigger: str, dry_run: bool = False, within: timedelta = WITHIN) -> SweepReport:
    """Look at every endpoint once; warn of those that are idle, remove those whose warning has passed.

    Args: within: after which time it stops, and leaves the rest to the next one.
    Idempotency: an endpoint that is being deleted, or is gone, is left alone; a run is retired once.
    Raises: SweepBusyError: another sweep is going on; a dry run waits for nobody.
    """
    owner = uuid.uuid4().hex
    report = SweepReport(
        id=archive.new_id(services.now(), owner), started_at=services.now(), trigger=trigger, dry_run=dry_run
    )
    with telemetry.about(trigger=trigger), telemetry.span("sweep"):
        if dry_run:
            return _sweep(_Pass(services, trigger, dry_run, report, within))
        with lock.held(services) as held:
            return _told(_Pass(services, trigger, dry_run, report, within, held))


def _told(going: _Pass) -> SweepReport:
    """Sweep, and tell what came of it to those who watch the app."""
    last = next((one.saved_usd for one in archive.summaries(going.services, 1)), None) or 0.0
    try:
        report = _sweep(going)
    except FinetuneError:
        telemetry.sweep_done(trigger=going.trigger, outcome="failed")
        raise
    telemetry.sweep_done(
        trigger=going.trigger,
        outcome="errors" if report.errors else "ok",
        orphans=sum(one.code in _ORPHANS and one.action not in ACTED for one in report.endpoints),
        saved_usd=max(0.0, (report.saved_usd or 0.0) - last),
    )
    return report


def _sweep(going: _Pass) -> SweepReport:
    services = going.services
    found = _in_order(services, list_endpoints(services), going)
    archive.save(services, going.report)  # a sweep that dies has been there
    # After the endpoints: what goes live in between is live here, with an endpoint that is not in the list.
    runs = Runs.load(services)
    not_reached = _each(going, found, runs)
    if not going.dry_run and not not_reached:
        _retire_vanished(services, {endpoint.name for endpoint in found}, runs, going.trigger)
    others = [] if not_reached else leftovers.tidy(services, dry_run=going.dry_run)
    report = _finished(going, runs, others, not_reached)
    archive.save(services, report)
    _log.info(
        "sweep %s (%s): %d looked at, %d idle, %d warned, %d acted on, %d errors%s",
        *(report.id, going.trigger, report.looked_at, report.idle, report.warned, report.acted, report.errors),
        "" if report.complete else f", {len(report.not_reached)} not reached",
    )
    if not going.dry_run:
        own.forget(services, services.now() - OWN_KEPT_FOR)
        archive.forget_old(services, services.settings.sweeps_retention)
    return report


def _in_order(services: Services, found: Sequence[Endpoint], going: _Pass) -> list[Endpoint]:
    """Begin with what the last sweep did not come to."""
    first = set() if going.dry_run else set(archive.not_reached(services))
    return sorted(found, key=lambda endpoint: (endpoint.name not in first, endpoint.name))


def _each(going: _Pass, found: Sequence[Endpoint], runs: Runs) -> list[str]:
    """Look at all endpoints, and act; returns the names of those that there was no time for."""
    until = going.report.started_at + going.within
    for begin in range(0, len(found), AT_ONCE):
        _some(going, found[begin : begin + AT_ONCE], runs)
        if going.lock is not None:
            going.lock.renew()
        if going.services.now() >= until:
            return [endpoint.name for endpoint in found[begin + AT_ONCE :]]
    return []


def _some(going: _Pass, found: Sequence[Endpoint], runs: Runs) -> None:
    services = going.services
    verdicts = [pair for one in look(services, found, runs) for pair in _verdicts(going, one)]
    for one, _ in verdicts:
        going.unpriced.update(money.unpriced(services.settings, one.deployments or ()))
    with ThreadPoolExecutor(ACTORS) as pool:
        going.found += pool.map(telemetry.carried(lambda pair: _of_run(going, *pair)), verdicts)


def _verdicts(going: _Pass, one: Seen) -> Iterator[tuple[Seen, Verdict]]:
    scope, now = going.services.settings.sweep_scope, going.services.now()
    verdict = judge(one, scope, now)
    yield one, verdict
    if verdict.do != Do.ACT:  # else nothing of it is left to look at
        for beside in judge_deployments(one, scope, now):
            yield one, beside


def _of_run(going: _Pass, one: Seen, verdict: Verdict) -> EndpointReport:
    run = one.run
    with telemetry.about(run_id=run.id if run else "", project=run.project if run else ""):
        return _one(going, one, verdict)


def _one(going: _Pass, one: Seen, verdict: Verdict) -> EndpointReport:
    """Carry one verdict out; its trouble is reported and hides no other's."""
    did = acting.planned(verdict)
    if one.fault:
        did = Did.ERROR
    elif going.dry_run:
        did = WOULD.get(did, did)
    elif verdict.do != Do.KEEP or one.memory.drained:
        try:
            did, verdict = patiently(lambda: _carried_out(going, one, verdict))
        except FinetuneError as fault:
            _log.warning("endpoint %s: %s", one.endpoint.name, fault)
            did, verdict = Did.ERROR, replace(verdict, reason=str(fault))
    return _reported(going.services, one, verdict, did)


def _carried_out(going: _Pass, one: Seen, verdict: Verdict) -> tuple[Did, Verdict]:
    with understood(f"sweeping endpoint {one.endpoint.name}"):
        return acting.carry_out(going.services, one, verdict, going.trigger)


def _reported(services: Services, one: Seen, verdict: Verdict, did: Did) -> EndpointReport:
    run, read, use = one.run, one.reading, verdict.use
    of = [found for found in one.deployments or () if verdict.deployment in (None, found.name)]
    return EndpointReport(
        name=one.endpoint.name,
        deployment=verdict.deployment,
        run=run.id if run else None,
        project=run.project if run else None,
        state=one.endpoint.state,
        action=did,
        code=verdict.code,
        reason=verdict.reason,
        requests=use.requests if use is not None else None,
        own_requests=None if isinstance(read, Unread) or verdict.deployment is not None else read.own_requests,
        usd_per_hour=None if one.deployments is None else money.hourly(services.settings, of),
        act_after=verdict.act_after,
    )


def _finished(going: _Pass, runs: Runs, others: Sequence[Leftover], not_reached: list[str]) -> SweepReport:
    whole = [report for report in going.found if report.deployment is None]
    idle = [report for report in going.found if report.code in (Code.IDLE, Code.EXPIRED)]
    return with_fields(
        going.report,
        finished_at=going.services.now(),
        complete=not not_reached,
        looked_at=len(whole),
        idle=len(idle),
        warned=sum(report.action in (Did.WARNED, Did.WOULD_WARN) for report in going.found),
        acted=sum(report.action in ACTED or report.action in map(WOULD.get, ACTED) for report in going.found),
        errors=sum(report.action == Did.ERROR for report in going.found),
        usd_per_hour=money.together([report.usd_per_hour for report in whole]),
        idle_usd_per_hour=money.together([report.usd_per_hour for report in idle]),
        saved_usd=money.saved(going.services, runs.live).usd,
        unpriced=sorted(going.unpriced),
        endpoints=going.found,
        leftovers=list(others),
        not_reached=not_reached,
    )


def _retire_vanished(services: Services, names: set[str], runs: Runs, trigger: str) -> None:
    """A live run whose endpoint is not there any more was retired by someone else's hand: say so."""
    for run in runs.live.values():
        if run.endpoint in names:
            continue
        try:
            # Asked once more by name: the list may be older than the run's going live.
            about = telemetry.about(run_id=run.id, project=run.project)
            with about, understood(f"looking for endpoint {run.endpoint}"):
                if endpoints.find_endpoint(services.azureml, str(run.endpoint)) is not None:
                    continue
                with services.store.claim(run.id) as claim:
                    if claim.run.removal is not None and is_begun(claim.run, services.now()):
                        finish(services, claim, trigger, Did.REMOVED, claim.run.removal)
                    else:
                        retire(services, claim, trigger, f"endpoint {run.endpoint} was removed outside this app")
                forget(services, str(run.endpoint))
        except FinetuneError as fault:
            _log.warning("run %s: %s", run.id, fault)
