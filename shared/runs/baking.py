"""Watching a new deployment while it has a share of the traffic, before it gets more."""

from __future__ import annotations

from shared import health
from shared.azureml.endpoints import Endpoint
from shared.errors import RolloutError
from shared.health import Point, Served
from shared.runs.context import Context, Waiting
from shared.runs.deploy_options import PATIENCE
from shared.runs.parts import Rollout, RolloutStep


def bake(context: Context, rollout: Rollout, endpoint: Endpoint, percent: int) -> Waiting | None:
    """Watch one step of the rollout; None: it is over, and was good.

    A deployment that did nothing in all that time is no worse than another: it is good. Without an older deployment
    there is nobody whose callers could suffer, and nothing is waited for.
    Raises: RolloutError: it is worse than the live one, or bad in itself; said as soon as it is seen.
    """
    run, span = context.run, context.options.deploy.bake
    since = rollout.watched_since
    assert since is not None, "the traffic of a step that is watched was seen"
    if rollout.previous is None or not span:
        _end_step(context, rollout, percent, None)
        return None
    points = health.read_points(context.services.settings, endpoint.id, rollout.began_at or since, context.now)
    seen = None if points is None else _judge(context, rollout, points, percent)
    if context.now < since + span:
        until = since + span
        return Waiting(
            f"{percent} % of the traffic of {endpoint.name} is on {run.deployment}, watched until {until:%H:%M} UTC"
        )
    if seen is None and context.now < since + span + PATIENCE:
        return Waiting(f"the metrics of {endpoint.name}: they cannot be read just now")
    if seen is None:
        run.note(
            f"Azure Monitor did not answer while {percent} % of the traffic was on {run.deployment}: "
            "the rollout went on by its smoke test alone."
        )
    _end_step(context, rollout, percent, seen)
    return None


def _judge(context: Context, rollout: Rollout, points: list[Point], percent: int) -> Served:
    """Compare with the live deployment: this step of the new one with the whole rollout of the old one."""
    run, since = context.run, rollout.watched_since
    assert since is not None, "the traffic of a step that is watched was seen"
    new = health.served(points, run.deployment, since)
    live = health.served(points, rollout.previous, rollout.began_at or since)
    if (fault := health.fault_of(new, live)) is not None:
        raise RolloutError(
            f"With {percent} % of the traffic, deployment {run.endpoint}/{run.deployment} did worse: {fault}. "
            f"The traffic goes back to {rollout.previous}."
        )
    return new


def _end_step(context: Context, rollout: Rollout, percent: int, seen: Served | None) -> None:
    assert rollout.watched_since is not None, "the traffic of a step that ends was seen"
    step = RolloutStep(
        percent=percent,
        since=rollout.watched_since,
        until=context.now,
        requests=seen.requests if seen else None,
        failures=seen.failures if seen else None,
        latency_ms=round(seen.latency_ms) if seen and seen.latency_ms is not None else None,
    )
    rollout.steps.append(step)
    rollout.watched_since = rollout.routed_at = None
    context.save()
