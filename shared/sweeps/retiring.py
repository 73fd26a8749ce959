"""The end of a live run: its removal is written down before it is begun, then entered into the ledger, recorded, told.

A process that dies in between leaves a removal that was begun; whoever finds the endpoint gone finishes it.
"""

from __future__ import annotations

import logging

from shared.idle.policy import Action
from shared.runs.announce import announce
from shared.runs.claim import Claim
from shared.runs.parts import Removal
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services
from shared.sweeps import money
from shared.sweeps.census import Seen
from shared.sweeps.records import Did

_log = logging.getLogger(__name__)


def begin(services: Services, claim: Claim, one: Seen, action: Action, code: str, reason: str) -> Removal:
    """Write down what is about to be removed, before Azure is told. Raises: LeaseLostError."""
    removal = claim.run.removal = removal_of(services, one, claim.run, action, code, reason)
    claim.save()
    return removal


def finish(services: Services, claim: Claim, trigger: str, did: Did, removal: Removal) -> None:
    """Enter a removal into the ledger and retire its run. Idempotency: the run's life; what is retired stays so."""
    if claim.run.state == RunState.LIVE:
        money.enter(services, removal.endpoint, claim.run, str(did), removal.usd_per_hour)
        retire(services, claim, trigger, removal.reason, removal)


def retire(services: Services, claim: Claim, trigger: str, reason: str, removal: Removal | None = None) -> None:
    """Record and tell that a live run's endpoint is gone, once."""
    run = claim.run
    if run.state != RunState.LIVE:
        return
    run.removal = removal
    run.move(RunState.RETIRED, now=services.now(), trigger=trigger, reason=reason)
    run.tell_endpoint_retired(reason, now=services.now())
    announce(services, claim)
    _log.info("run %s: live -> retired (%s): %s", run.id, trigger, reason)


def removal_of(services: Services, one: Seen, run: Run, action: Action, code: str, reason: str) -> Removal:
    """Write down what was there, so that it can be brought back, and what it cost."""
    main = next((found for found in one.deployments or () if found.name == run.deployment), None)
    is_all = action != Action.DELETE_DEPLOYMENT
    gone = [found for found in one.deployments or () if is_all or found.name == run.deployment]
    return Removal(
        at=services.now(),
        action=str(action),
        code=code,
        reason=reason,
        endpoint=one.endpoint.name,
        deployment=run.deployment,
        instance_type=main.instance_type if main else (run.plan.serving_instance_type if run.plan else None),
        instance_count=main.instance_count if main else None,
        auth_mode=one.endpoint.auth_mode,
        tags=dict(one.endpoint.tags),
        usd_per_hour=money.hourly(services.settings, gone),
        bring_back=f"POST /api/runs/{run.id}/deploy",
    )
