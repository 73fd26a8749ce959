"""Carrying a verdict out: a warning given or withdrawn, an endpoint removed. Each step may be done twice.

Before anything is removed, the endpoint, its tags and its traffic are read once more, under the endpoint's lock and its
run's claim: what was idle a minute ago may be in use now. Azure is told first and the record is written after: what is
recorded as gone does not bill.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime

from shared.azureml import endpoints
from shared.errors import FinetuneError, LeaseLostError, RunBusyError
from shared.idle.decision import Do
from shared.idle.findings import Warned
from shared.idle.policy import WARNED_TAG, Action
from shared.runs import endpoint_lock
from shared.runs.claim import Claim
from shared.runs.record import Run
from shared.services import Services
from shared.sweeps import money
from shared.sweeps.census import Seen, look_again
from shared.sweeps.judging import Verdict, is_begun, judge, judge_deployments
from shared.sweeps.memory import Memory, forget, recall, remember
from shared.sweeps.records import Did
from shared.sweeps.retiring import begin, finish, removal_of

_DID = {
    Action.DELETE_ENDPOINT: Did.REMOVED,
    Action.DELETE_DEPLOYMENT: Did.EMPTIED,
    Action.SCALE_DOWN: Did.SCALED_DOWN,
}
_log = logging.getLogger(__name__)


def planned(verdict: Verdict) -> Did:
    """Return what a verdict leads to, if nothing comes in between."""
    if verdict.do == Do.ACT:
        return _DID[verdict.action]
    return {Do.WARN: Did.WARNED, Do.WAIT: Did.WAITING, Do.CALL_OFF: Did.CALLED_OFF}.get(verdict.do, Did.KEPT)


def carry_out(services: Services, one: Seen, verdict: Verdict, trigger: str) -> tuple[Did, Verdict]:
    """Do what a verdict says; returns what was done, and the verdict of the last look.

    Raises: RunBusyError, EndpointBusyError: somebody else is at it: the next sweep; and Azure's troubles.
    """
    if one.memory.drained and verdict.do in (Do.KEEP, Do.WARN, Do.CALL_OFF) and verdict.deployment is None:
        one = _give_back(services, one)
    if verdict.do == Do.WARN:
        return _warn(services, one, verdict), verdict
    if verdict.do == Do.CALL_OFF:
        return _call_off(services, one, verdict), verdict
    if verdict.do == Do.WAIT:
        _show_warning(services, one, _memory_of(one, verdict), verdict)
        return Did.WAITING, verdict
    return _act(services, one, verdict, trigger) if verdict.do == Do.ACT else (Did.KEPT, verdict)


# --- warnings ----------------------------------------------------------------------------------------------------


def _warn(services: Services, one: Seen, verdict: Verdict) -> Did:
    """Remember the warning first: it counts from then on, whatever becomes of event and tag."""
    assert verdict.act_after is not None, "a warning has a date"
    before = _memory_of(one, verdict)
    given = Warned(at=services.now(), act_after=verdict.act_after, action=verdict.action)
    memory = _remembered(services, replace(before, warned=given, reason=verdict.reason, told=False, tagged=False))
    _show_warning(services, one, memory, verdict)
    return Did.WARNED


def _show_warning(services: Services, one: Seen, memory: Memory, verdict: Verdict) -> None:
    """Tell of a warning, by an event and a tag; what does not succeed is done by the next sweep."""
    warned = memory.warned
    if warned is None or (memory.told and memory.tagged):
        return
    told = memory.told or services.notifier.tell_warned(
        endpoint=one.endpoint.name,
        deployment=memory.deployment,
        run=one.run,
        warned=warned,
        reason=memory.reason or verdict.reason,
    )
    if not memory.tagged and memory.deployment is None:
        memory = _about_to_write(services, replace(memory, told=told))
        _set_tag(services, one, _shown(warned.act_after))
    remember(services, replace(memory, told=told, tagged=True))


def _call_off(services: Services, one: Seen, verdict: Verdict) -> Did:
    """Take the tag away first: a warning that is still remembered is called off again."""
    memory = _memory_of(one, verdict)
    if memory.deployment is None and WARNED_TAG in one.endpoint.tags:
        memory = _about_to_write(services, memory)
        _set_tag(services, one, None)
    remember(services, replace(memory, warned=None, reason="", told=False, tagged=False))
    return Did.CALLED_OFF


def _give_back(services: Services, one: Seen) -> Seen:
    """Route traffic to a deployment again from which it was taken, and that is not to be deleted after all."""
    name, memory = one.memory.drained, one.memory
    if not one.endpoint.served and any(found.name == name for found in one.deployments or ()):
        memory = _about_to_write(services, memory)
        holder = one.run.id if one.run is not None else ""
        with endpoint_lock.held(services, one.endpoint.name, holder) if holder else nullcontext():
            endpoints.begin_traffic(services.azureml, one.endpoint.name, {name: 100})
        _log.warning("endpoint %s: all traffic goes to %s again: it is to stay", one.endpoint.name, name)
    return replace(one, memory=_remembered(services, replace(memory, drained="")))


def _about_to_write(services: Services, memory: Memory) -> Memory:
    """Remember a change of the endpoint before it is made: else a sweep that dies leaves one that looks like another's.

    Raises: RunBusyError.
    """
    return _remembered(services, replace(memory, written_at=services.now()))


def _remembered(services: Services, memory: Memory) -> Memory:
    written = remember(services, memory)
    if written is None:
        raise RunBusyError(f"What is remembered of endpoint {memory.endpoint} has changed; the next sweep looks again")
    return written


def _set_tag(services: Services, one: Seen, value: str | None) -> None:
    holder = one.run.id if one.run is not None else ""
    with endpoint_lock.held(services, one.endpoint.name, holder) if holder else nullcontext():
        endpoints.begin_tags(services.azureml, one.endpoint.name, {WARNED_TAG: value})


def _memory_of(one: Seen, verdict: Verdict) -> Memory:
    if verdict.deployment is None or verdict.action != Action.DELETE_DEPLOYMENT or not _is_beside(one, verdict):
        return one.memory
    found = one.of_deployments.get(verdict.deployment.lower())
    return found or Memory(endpoint=one.endpoint.name, deployment=verdict.deployment)


def _is_beside(one: Seen, verdict: Verdict) -> bool:
    """Tell whether a verdict is about a deployment beside the one that the endpoint answers with."""
    return one.run is None or verdict.deployment != one.run.deployment


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


# --- removals ----------------------------------------------------------------------------------------------------


def _act(services: Services, one: Seen, verdict: Verdict, trigger: str) -> tuple[Did, Verdict]:
    run = one.run
    if run is None:
        return _act_under_lock(services, one, verdict, None, trigger)
    lock: AbstractContextManager[None] = endpoint_lock.held(services, one.endpoint.name, run.id)
    with lock, services.store.claim(run.id) as claim:
        if claim.run.state != run.state:
            raise RunBusyError(f"run {run.id} has become {claim.run.state} in the meantime")
        try:
            return _act_under_lock(services, replace(one, run=claim.run), verdict, claim, trigger)
        except FinetuneError:
            with suppress(LeaseLostError):
                claim.save(release=True)  # for whoever tries again
            raise


def _act_under_lock(
    services: Services, one: Seen, verdict: Verdict, claim: Claim | None, trigger: str
) -> tuple[Did, Verdict]:
    memory = recall(services, one.endpoint.name)  # somebody may have asked to keep it
    again = look_again(services, replace(one, memory=memory))
    if again is None:
        return _gone(services, one, verdict, claim, trigger), verdict
    last = _judged_again(services, again, verdict)
    if last.do != Do.ACT or last.action != verdict.action:
        reason = f"{last.reason} (seen just before it was to be removed)"
        return Did.KEPT if last.do != Do.WAIT else Did.WAITING, replace(last, reason=reason)
    if last.action == Action.SCALE_DOWN:
        return _scale_down(services, again), last
    if last.action == Action.DELETE_DEPLOYMENT:
        return _delete_deployment(services, again, last, claim, trigger), last
    return _delete_endpoint(services, again, last, claim, trigger), last


def _judged_again(services: Services, one: Seen, verdict: Verdict) -> Verdict:
    scope, now = services.settings.sweep_scope, services.now()
    if verdict.deployment is None:
        return judge(one, scope, now)
    beside = judge_deployments(one, scope, now)
    found = next((last for last in beside if last.deployment == verdict.deployment), None)
    return found or judge(one, scope, now)


def _gone(services: Services, one: Seen, verdict: Verdict, claim: Claim | None, trigger: str) -> Did:
    """The endpoint is not there any more: somebody deleted it, or a sweep that died before it could say so."""
    if claim is not None:
        reason = f"endpoint {one.endpoint.name} is gone: {verdict.reason}"
        begun = claim.run.removal if is_begun(claim.run, services.now()) else None
        removal = begun or removal_of(services, one, claim.run, Action.DELETE_ENDPOINT, verdict.code, reason)
        finish(services, claim, trigger, Did.REMOVED, removal)
    _forget(services, one)
    return Did.REMOVED


def _delete_endpoint(services: Services, one: Seen, verdict: Verdict, claim: Claim | None, trigger: str) -> Did:
    if claim is None:
        endpoints.begin_delete_endpoint(services.azureml, one.endpoint.name)
        _enter(services, one, None, Did.REMOVED, money.hourly(services.settings, one.deployments or ()))
    else:
        removal = begin(services, claim, one, verdict.action, verdict.code, verdict.reason)
        endpoints.begin_delete_endpoint(services.azureml, one.endpoint.name)
        finish(services, claim, trigger, Did.REMOVED, removal)
    _forget(services, one)
    return Did.REMOVED


def _delete_deployment(services: Services, one: Seen, verdict: Verdict, claim: Claim | None, trigger: str) -> Did:
    """Delete a deployment; first route its traffic away, because Azure refuses to delete one that has any.

    Routing takes Azure a while, so that the deletion itself comes with a later sweep.
    """
    name = verdict.deployment or (one.run.deployment if one.run is not None else None) or _only(one)
    if name is None:
        return Did.KEPT
    if one.endpoint.served.get(name):
        rest = {other: percent for other, percent in one.endpoint.served.items() if other != name}
        _about_to_write(services, replace(one.memory, drained=name))
        endpoints.begin_traffic(services.azureml, one.endpoint.name, rest)
        return Did.WAITING
    if claim is not None and name == claim.run.deployment:
        _delete_own(services, one, verdict, claim, name, trigger)
    else:
        endpoints.begin_delete_deployment(services.azureml, one.endpoint.name, name)
        deleted = money.hourly(services.settings, [found for found in one.deployments or () if found.name == name])
        money.enter(services, one.endpoint.name, None, str(Did.EMPTIED), deleted, deployment=name)
        forget(services, one.endpoint.name, name)
    return Did.EMPTIED


def _delete_own(services: Services, one: Seen, verdict: Verdict, claim: Claim, name: str, trigger: str) -> None:
    """Delete the deployment of the endpoint's run; or only record it, when a sweep that died has deleted it."""
    removal = claim.run.removal
    is_there = any(found.name == name for found in one.deployments or ())
    if is_there or removal is None or not is_begun(claim.run, services.now()):
        removal = begin(services, claim, one, verdict.action, verdict.code, verdict.reason)
        endpoints.begin_delete_deployment(services.azureml, one.endpoint.name, name)
    finish(services, claim, trigger, Did.EMPTIED, removal)
    _forget(services, one)


def _scale_down(services: Services, one: Seen) -> Did:
    name = one.run.deployment if one.run is not None and one.run.deployment else _only(one)
    found = next((deployment for deployment in one.deployments or () if deployment.name == name), None)
    if found is None or found.instance_count is None:
        return Did.KEPT
    memory = _about_to_write(services, one.memory)
    endpoints.begin_scale(services.azureml, one.endpoint.name, found.name, 1)
    each = money.price(services.settings, found.instance_type)
    spared = each * (found.instance_count - 1) if each is not None else None
    _enter(services, one, one.run, Did.SCALED_DOWN, spared)
    remember(services, replace(memory, warned=None, told=False, tagged=False))
    return Did.SCALED_DOWN


def _only(one: Seen) -> str | None:
    names = [deployment.name for deployment in one.deployments or ()]
    return names[0] if len(names) == 1 else None


def _enter(services: Services, one: Seen, run: Run | None, did: Did, usd_per_hour: float | None) -> None:
    money.enter(services, one.endpoint.name, run, str(did), usd_per_hour)


def _forget(services: Services, one: Seen) -> None:
    forget(services, one.endpoint.name)
    for deployment in one.of_deployments:
        forget(services, one.endpoint.name, deployment)
