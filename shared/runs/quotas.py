"""Whether there is quota to train and to serve, looked at before anything is paid for.

A limit that is too low does not change by itself: the run is held, with what to ask for. Cores that others use now come
free by themselves: a training waits for them, and an endpoint has until its model is trained. What Azure does not say
stops nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from shared.azureml.compute import SERVERLESS
from shared.azureml.quota import Limit, Quota, Room, read_quota
from shared.errors import StepError, TransientError
from shared.runs.context import Context, Held, Waiting
from shared.runs.parts import TrainingPlan

FIRST_LOOK, LAST_LOOK = timedelta(minutes=1), timedelta(minutes=15)
_log = logging.getLogger(__name__)


def check(context: Context) -> Held | Waiting | None:
    """prepared: hold a run that cannot be trained or served within the quota, or let it wait for its turn."""
    run = context.run
    try:
        quota = read_quota(context.services.azureml)
    except (TransientError, StepError) as fault:
        _log.warning("run %s: the quota was not read: %s", run.id, fault)
        run.note("The region's quota could not be read, so nobody looked whether it is enough to train and to serve.")
        return None
    return decide(context, quota)


def decide(context: Context, quota: Quota) -> Held | Waiting | None:
    """Decide by a quota that was read."""
    run = context.run
    assert run.plan is not None, "a run that is checked has a plan"
    plan, approved = run.plan, run.approved
    training = quota.room_to_train(plan.instance_type, nodes_of(plan), low_priority=plan.low_priority)
    serving = [quota.room_to_serve(size, context.options.serving_instance_count) for size in _serving_sizes(context)]
    for room in [training, *serving]:
        if not room.is_known:
            run.note(f"Azure lists no quota for {room.machines}, so nobody looked whether it is enough.")
    if training.lacking and "training_quota" not in approved:
        return Held("training_quota", _training_lacks(training, training.lacking, run.id))
    if serving and all(room.lacking for room in serving) and "serving_quota" not in approved:
        return Held("serving_quota", _serving_lacks(serving, run.id))
    _note_about_serving(context, serving)
    if training.busy and plan.compute == SERVERLESS:
        return Waiting(_busy(training, training.busy), again_in=pause(context.in_state_for))
    return None


def nodes_of(plan: TrainingPlan) -> int:
    """Return how many nodes the job takes."""
    try:
        return max(1, int(plan.hyperparameters.get("num_nodes_finetune", "1")))
    except ValueError:
        return 1  # the component refuses it, in its own words


def pause(waited: timedelta) -> timedelta:
    """Return when to look again: the longer it has been waited for, the later."""
    return min(LAST_LOOK, max(FIRST_LOOK, waited / 4))


def _serving_sizes(context: Context) -> Sequence[str]:
    """Return the sizes that the deployment may get: one after the other, until one has quota."""
    plan = context.run.plan
    return (plan.serving_instance_types or [plan.serving_instance_type]) if plan else []


def _training_lacks(room: Room, lacking: Limit, run_id: str) -> str:
    return (
        f"{_lacks(room, lacking, 'Training on')} Ask for at least {room.needed} cores (Azure ML studio, Quota), then "
        f"POST /api/runs/{run_id}/approve; or choose another VM size or region (compute.instance_type, "
        "TRAINING_INSTANCE_TYPE) and upload again."
    )


def _serving_lacks(rooms: Sequence[Room], run_id: str) -> str:
    sentences = [_lacks(room, room.lacking, "Serving on") for room in rooms if room.lacking]
    return (
        f"{' '.join(sentences)} Azure keeps cores in reserve for upgrading most sizes. Ask for more quota (Azure ML "
        "studio, Quota), or name a VM size that has some in deploy.instance_type, which may be a list. "
        f"POST /api/runs/{run_id}/approve trains all the same."
    )


def _lacks(room: Room, limit: Limit, doing: str) -> str:
    return f"{doing} {room.machines} needs {room.needed} cores of {limit.name}, of which there are {limit.limit}."


def _busy(room: Room, limit: Limit) -> str:
    return (
        f"{room.needed} cores of {limit.name} for {room.machines}: {limit.used} of {limit.limit} are in use; they come "
        "free when other jobs and endpoints end"
    )


def _note_about_serving(context: Context, rooms: Sequence[Room]) -> None:
    """Say what stands in the way of the endpoint, unless there is room for one of the sizes."""
    if any(not room.lacking and not room.busy for room in rooms):
        return
    for room in rooms:
        if room.busy:
            context.run.note(
                f"Serving on {room.machines} needs {room.needed} cores of {room.busy.name} ({room.busy.limit} in all), "
                "and fewer were free before the training: others have to end before the model can be deployed."
            )
