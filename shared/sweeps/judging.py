"""What is to become of an endpoint, and of each deployment in it. Pure: everything that is known comes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.azureml.endpoints import BROKEN, DELETING, Deployment
from shared.azureml.pipeline import RUN_TAG
from shared.idle.decision import Do, decide
from shared.idle.findings import Code, Facts, Use, Warned
from shared.idle.policy import OPT_IN_TAG, Action, Policy
from shared.runs.record import Run, wants_work
from shared.runs.states import RunState
from shared.sweeps.census import Seen
from shared.sweeps.memory import Memory
from shared.traffic.readings import Unread

OWN_CHANGE = timedelta(minutes=10)
"""A change that Azure dates within this time after one of the sweep's own is that one: a PUT goes on for minutes."""

BEGUN_FOR = timedelta(days=1)
"""So long after a removal was begun, what is gone is taken to have gone by it; later, by somebody else's hand."""


def is_begun(run: Run, now: datetime) -> bool:
    """Tell whether a removal of a live run was begun, in this life of it, and never recorded as done."""
    begun = run.removal
    return begun is not None and run.state_since <= begun.at and now - begun.at < BEGUN_FOR


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be done. deployment: None: the endpoint as a whole. code: why, for programs; reason: for people."""

    do: Do
    code: str
    reason: str
    action: Action = Action.DELETE_ENDPOINT
    deployment: str | None = None
    act_after: datetime | None = None
    use: Use | None = None


def judge(one: Seen, scope: str, now: datetime) -> Verdict:
    """Judge an endpoint as a whole."""
    return _unless_blackout(_judged(one, scope, now), one.policy, now)


def _judged(one: Seen, scope: str, now: datetime) -> Verdict:
    if (untouchable := _untouchable(one, scope)) is not None:
        return untouchable
    run = one.run
    if run is not None and run.state != RunState.LIVE and not _is_served(one):
        return _of_ended_run(one)
    if run is not None and _is_empty(one, run.deployment):
        if (begun := run.removal) is not None and is_begun(run, now) and begun.action == Action.DELETE_DEPLOYMENT:
            return Verdict(do=Do.ACT, code=begun.code, reason=begun.reason, action=Action.DELETE_DEPLOYMENT)
        reason = f"deployment {one.endpoint.name}/{run.deployment} was removed outside this app"
        return Verdict(do=Do.ACT, code="empty", reason=reason)
    if run is None and not one.deployments:
        return _empty_of_others(one, now)
    return _by_use(one, _deployment_of(one), one.policy, one.memory.warned, now, whole=True)


def judge_deployments(one: Seen, scope: str, now: datetime) -> Iterator[Verdict]:
    """Judge the deployments beside the one that the endpoint's run answers with, each by itself.

    Those beside one that was deleted, of an endpoint that stays, cost as much as any.
    """
    if _untouchable(one, scope) is not None:
        return
    is_live = one.run is None or one.run.state == RunState.LIVE
    if not is_live and not _was_emptied(one):
        return
    main = _deployment_of(one) if is_live else _named(one, one.run.deployment if one.run else None)
    for deployment in one.deployments or ():
        is_main = main is not None and deployment.name == main.name
        if not is_main and not one.endpoint.traffic.get(deployment.name):
            yield _unless_blackout(_of_deployment(one, deployment, scope, now), one.policy, now)


def _untouchable(one: Seen, scope: str) -> Verdict | None:
    """Say why an endpoint must be left alone, None when it may be looked at further."""
    run, endpoint = one.run, one.endpoint
    if one.fault:
        return _kept("error", one.fault)
    if not one.is_ours:
        if scope != "workspace":
            return _kept("not_ours", "not made by this app")
        if endpoint.tags.get(OPT_IN_TAG, "").lower() != "true":
            return _kept("not_ours", f"not made by this app, and without the tag {OPT_IN_TAG}=true")
        return _kept("going", "is being deleted") if endpoint.state == DELETING else None
    if run is None:
        return _kept("unknown_run", "made by this app, but its run is not known here")
    if (run.endpoint or "").lower() != endpoint.name.lower():
        return _kept("copied_tag", f"carries the tag of run {run.id}, whose endpoint is another one")
    if endpoint.state == DELETING:
        return _kept("going", "is being deleted")
    if wants_work(run):
        return _kept("under_way", f"its run is {run.state}")
    if one.rollout is not None:
        return _kept("rollout", f"run {one.rollout} is being rolled out on it")
    return None


def _of_ended_run(one: Seen) -> Verdict:
    """An endpoint whose run has ended, and that answers nobody."""
    assert one.run is not None, "somebody's endpoint"
    removal = one.run.removal
    if removal is not None and _was_emptied(one):
        mine = _named(one, one.run.deployment)
        if mine is None:
            rest = "its deployment was deleted" if one.deployments else "without a deployment, so it costs nothing"
            is_failed = one.run.state == RunState.FAILED
            call = f"POST /api/runs/{one.run.id}/retry" if is_failed else removal.bring_back
            return _kept("emptied", f"{rest}; {call} brings it back")
        if mine.state == DELETING:
            return _kept("going", "its deployment is being deleted")
        reason = f"left over: its run is {one.run.state}"
        return Verdict(
            do=Do.ACT, code="left_over", reason=reason, action=Action.DELETE_DEPLOYMENT, deployment=mine.name
        )
    return Verdict(do=Do.ACT, code="left_over", reason=f"left over: its run is {one.run.state}")


def _empty_of_others(one: Seen, now: datetime) -> Verdict:
    created = one.endpoint.created_at
    if created is None or now - created < max(one.policy.grace, one.policy.idle_after):
        return _kept("young", "without a deployment, and young")
    return _kept("empty", "without a deployment; it costs nothing, and is only reported")


def _by_use(
    one: Seen, deployment: Deployment | None, policy: Policy, warned: Warned | None, now: datetime, *, whole: bool
) -> Verdict:
    read, born_at = one.reading, _born_at(one, deployment, whole)
    if warned is not None and born_at is not None and warned.at < born_at:
        warned = None  # it was given in an earlier life, whose end nobody saw
    name = None if whole or deployment is None else deployment.name
    use = None if isinstance(read, Unread) else read.use(name, since=now - policy.idle_after)
    decision = decide(
        policy,
        Facts(
            born_at=born_at,
            changed_at=_changed_at(one, deployment),
            use=use,
            use_fault=read.fault if isinstance(read, Unread) else "",
            warned=warned,
            instances=deployment.instance_count if deployment is not None else None,
        ),
        now,
    )
    return Verdict(
        do=decision.do,
        code=str(decision.code),
        reason=decision.reason,
        action=policy.action,
        deployment=name,
        act_after=decision.act_after,
        use=use,
    )


def _of_deployment(one: Seen, deployment: Deployment, scope: str, now: datetime) -> Verdict:
    """Judge a deployment without any share of the traffic, beside one that has it."""
    is_ours = RUN_TAG in deployment.tags or (not one.is_ours and scope == "workspace")
    memory = one.of_deployments.get(deployment.name.lower()) or Memory(endpoint=one.endpoint.name)
    action = Action.REPORT if one.policy.action == Action.REPORT else Action.DELETE_DEPLOYMENT
    policy = replace(one.policy, action=action, expires_at=None)
    if deployment.state == DELETING:
        return replace(_kept("going", "is being deleted"), deployment=deployment.name)
    if not is_ours:
        policy = replace(policy, action=Action.REPORT)
    elif deployment.state in BROKEN and not _is_protected(policy):
        since = deployment.changed_at or deployment.created_at
        if since is not None and now - since >= policy.grace:
            reason = f"deployment {deployment.name} is {deployment.state}, and answers nobody"
            return Verdict(
                do=Do.ACT, code="broken", reason=reason, action=Action.DELETE_DEPLOYMENT, deployment=deployment.name
            )
    verdict = _by_use(one, deployment, policy, memory.warned, now, whole=False)
    return replace(verdict, reason=f"without a share of the traffic: {verdict.reason}")


def _born_at(one: Seen, deployment: Deployment | None, whole: bool) -> datetime | None:
    """An endpoint begins to age when it begins to answer, not when its creation began."""
    if not whole and deployment is not None:
        return deployment.created_at
    if one.run is not None and one.run.state == RunState.LIVE:
        return one.run.state_since
    return one.endpoint.created_at


def _changed_at(one: Seen, deployment: Deployment | None) -> datetime | None:
    """Return when somebody else last changed the endpoint, or anybody the deployment."""
    ours, of_endpoint = one.memory.written_at, one.endpoint.changed_at
    if ours and of_endpoint and ours - OWN_CHANGE <= of_endpoint <= ours + OWN_CHANGE:
        of_endpoint = None
    times = (of_endpoint, deployment.changed_at if deployment is not None else None)
    return max((at for at in times if at is not None), default=None)


def _was_emptied(one: Seen) -> bool:
    """Tell whether the endpoint's run was retired by deleting its deployment alone: then the endpoint stays."""
    run = one.run
    return run is not None and run.state in (RunState.RETIRED, RunState.FAILED) and run.keeps_address


def _is_served(one: Seen) -> bool:
    return any(one.endpoint.traffic.values())


def _is_empty(one: Seen, name: str | None) -> bool:
    """Tell whether nothing of a live run's endpoint can answer; another deployment with traffic is somebody's too.

    Not if that is unknown, and not of an endpoint that is to be kept: without a deployment it costs nothing.
    """
    if one.deployments is None or _is_protected(one.policy):
        return False
    return _named(one, name) is None and not _is_served(one)


def _is_protected(policy: Policy) -> bool:
    return policy.keep or bool(policy.unreadable)


def _unless_blackout(verdict: Verdict, policy: Policy, now: datetime) -> Verdict:
    """Hold back what needs no warning: of what does, the decision has seen to it."""
    if verdict.do != Do.ACT or (blackout := policy.blackouts.holds(now)) is None:
        return verdict
    return replace(verdict, do=Do.KEEP, code=str(Code.BLACKOUT), reason=f"{verdict.reason}; {blackout}")


def _deployment_of(one: Seen) -> Deployment | None:
    """Return the deployment that the endpoint stands for: its run's, else the one with the most traffic."""
    mine = _named(one, one.run.deployment) if one.run is not None else None
    if mine is not None:
        return mine
    by_share = sorted(one.deployments or (), key=lambda found: -one.endpoint.traffic.get(found.name, 0))
    return by_share[0] if by_share else None


def _named(one: Seen, name: str | None) -> Deployment | None:
    return next((found for found in one.deployments or () if found.name == name), None)


def _kept(code: str, reason: str) -> Verdict:
    return Verdict(do=Do.KEEP, code=code, reason=reason)
