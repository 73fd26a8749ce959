"""Blue/green: a run's deployment stands beside the live one of its project, and takes the traffic over step by step.

A step never waits. What was chosen and how far the traffic has come is in `Run.rollout`, saved before each act; every
act may be done twice. Until the old deployment's deletion has begun there is a way back: the run fails or is cancelled,
`withdraw` gives the traffic back and removes what is this run's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from shared import telemetry
from shared.azureml import endpoints, pipeline
from shared.azureml.endpoints import Deployment, Endpoint
from shared.errors import (
    EndpointBusyError,
    EndpointTakenError,
    ResourceGoneError,
    TransientError,
)
from shared.runs import baking, endpoint_lock, names
from shared.runs.announce import announce
from shared.runs.context import CancelRequestedError, Context, Moved, Outcome, Waiting
from shared.runs.parts import Rollout
from shared.runs.provisioning import begin_endpoint, bring_up, not_ready
from shared.runs.smoke_test import smoke_test
from shared.runs.states import RunState

SETTLING = timedelta(minutes=1)
"""So long after a change of the traffic, reads may show the old one."""
MOST_DELETING = timedelta(minutes=30)
"""A model that answers all callers is live, even if its predecessor's removal hangs."""


def begin(context: Context) -> Outcome:
    """registered: take the project's endpoint, then choose the deployment that does not serve now."""
    run, azureml = context.run, context.services.azureml
    name = context.options.deploy.endpoint or names.project_endpoint_name(azureml.workspace_id, run.project)
    if (waiting := endpoint_lock.acquire(context, name)) is not None:
        return waiting
    endpoint = endpoints.find_endpoint(azureml, name)
    if endpoint is not None and endpoint.state == endpoints.DELETING:
        return Waiting(f"endpoint {name} is being deleted; then it is made anew")
    run.endpoint = name
    run.smoke_test = None
    run.seen = []
    _choose(context, endpoint)
    beside = f", beside {run.rollout.previous}" if run.rollout and run.rollout.previous else ""
    return Moved(RunState.DEPLOYING, f"deployment {name}/{run.deployment} wanted{beside}")


def deploy(context: Context, rollout: Rollout) -> Outcome:
    """deploying: the endpoint, if this run is the first, then the deployment, without any traffic."""
    run, azureml = context.run, context.services.azureml
    name, deployment = str(run.endpoint), str(run.deployment)
    if (waiting := endpoint_lock.keep(context, name)) is not None:
        return waiting
    endpoint = endpoints.find_endpoint(azureml, name)
    if endpoint is None:
        if rollout.previous is not None:
            raise ResourceGoneError(f"Endpoint {name} is gone: it was deleted outside this app. A retry makes it anew.")
        return begin_endpoint(context, name)
    _require_ours(context, endpoint)
    if endpoint.state != endpoints.DELETING:
        run.saw(f"Endpoint {name}")
    if (waiting := not_ready(context, endpoint)) is not None:
        return waiting
    run.scoring_uri = endpoint.scoring_uri
    found = endpoints.find_deployment(azureml, name, deployment)
    if found is not None and found.tags.get(pipeline.RUN_TAG) != run.id:
        return _make_room(context, endpoint, found)
    return bring_up(context, name, deployment, found)


def verify(context: Context, rollout: Rollout) -> Outcome:
    """verifying: ask held-out questions past the traffic rules, then move the traffic, then remove the old deployment.

    Raises: SmokeTestError: before it gets any traffic; RolloutError: the traffic goes back; ResourceGoneError.
    """
    run, azureml = context.run, context.services.azureml
    name, deployment = str(run.endpoint), str(run.deployment)
    if (waiting := endpoint_lock.keep(context, name)) is not None:
        return waiting
    if rollout.replaced_at is not None and context.now - rollout.replaced_at > MOST_DELETING:
        run.note(f"Deployment {name}/{rollout.previous} is perhaps not deleted yet: look for it by hand.")
        return _live(context, rollout)
    endpoint = endpoints.find_endpoint(azureml, name)
    if endpoint is None or deployment not in endpoint.traffic:
        what = "Endpoint" if endpoint is None else f"Deployment {deployment} of endpoint"
        raise ResourceGoneError(f"{what} {name} is gone: it was deleted outside this app. A retry makes it anew.")
    if (waiting := not_ready(context, endpoint, rollout.routed_at)) is not None:
        return waiting
    if run.smoke_test is None:
        run.smoke_test = smoke_test(context)
        context.save()
    if rollout.previous is not None and rollout.previous not in endpoint.traffic and rollout.replaced_at is None:
        run.note(f"Deployment {name}/{rollout.previous} was deleted outside this app while run {run.id} replaced it.")
        rollout.previous = None
    return _shift(context, rollout, endpoint) or _replace(context, rollout, endpoint)


def withdraw(context: Context, rollout: Rollout) -> None:
    """Begin to remove what a run that ends has at the shared endpoint: its deployment, whose traffic goes back first.

    The endpoint goes, too, if it is this run's and nothing else is in it, unless its address was to be kept.
    Raises: TransientError: it has to be asked again.
    """
    run, services = context.run, context.services
    if run.state == RunState.REGISTERED:
        return  # it has nothing there yet; what it had in an earlier life was removed then
    endpoint = endpoints.find_endpoint(services.azureml, str(run.endpoint))
    if endpoint is None or endpoint.state == endpoints.DELETING:
        return
    try:
        with endpoint_lock.held(services, endpoint.name, run.id):
            _withdraw(context, rollout, endpoint)
    except EndpointBusyError as busy:
        raise TransientError(str(busy)) from busy


def _withdraw(context: Context, rollout: Rollout, endpoint: Endpoint) -> None:
    run, azureml = context.run, context.services.azureml
    is_tagged = endpoint.tags.get(pipeline.RUN_TAG) == run.id
    there = {name: endpoints.find_deployment(azureml, endpoint.name, name) for name in endpoint.traffic}
    alive = {name: one for name, one in there.items() if one is not None and one.state != endpoints.DELETING}
    own = alive.pop(str(run.deployment), None)
    if own is not None and own.tags.get(pipeline.RUN_TAG) != run.id:
        alive[own.name] = own
        own = None
    if is_tagged and not alive and not run.keeps_address:
        endpoints.begin_delete_endpoint(azureml, endpoint.name)
        return
    _give_back(context, rollout, endpoint, own, alive)
    if own is not None:
        endpoints.begin_delete_deployment(azureml, endpoint.name, own.name)


def _give_back(
    context: Context, rollout: Rollout, endpoint: Endpoint, own: Deployment | None, alive: Mapping[str, Deployment]
) -> None:
    """Route all traffic to the deployment that was live before, and tag the endpoint with its run.

    Raises: TransientError: until that shows. Only then can the own deployment go.
    """
    name = rollout.previous if rollout.previous in alive else next(iter(alive), None)
    tags = {} if name is None else {tag: value for tag, value in alive[name].tags.items() if tag in endpoint.tags}
    has_traffic = own is not None and bool(endpoint.served.get(own.name))
    is_tagged = endpoint.tags.get(pipeline.RUN_TAG) == context.run.id
    if not has_traffic and not (is_tagged and pipeline.RUN_TAG in tags):
        return
    traffic = {} if name is None else {name: 100}
    endpoints.begin_traffic(context.services.azureml, endpoint.name, traffic, tags)
    raise TransientError(f"the traffic of endpoint {endpoint.name} goes back to {name or 'nobody'}")


def _choose(context: Context, endpoint: Endpoint | None) -> None:
    """Choose this run's deployment: the one of the two that does not serve."""
    run = context.run
    run.rollout = Rollout()
    if endpoint is not None:
        _require_ours(context, endpoint)
        served = endpoint.served
        run.rollout.previous = max(served, key=lambda name: served[name], default=None)
    if endpoint is not None and run.rollout.previous is not None:
        live = endpoints.find_deployment(context.services.azureml, endpoint.name, run.rollout.previous)
        run.rollout.previous_run = live.tags.get(pipeline.RUN_TAG) if live is not None else None
    run.deployment = endpoints.GREEN if run.rollout.previous == endpoints.BLUE else endpoints.BLUE


def _require_ours(context: Context, endpoint: Endpoint) -> None:
    """Raise EndpointTakenError: the endpoint is not one that this project's runs may change."""
    run = context.run
    tagged = endpoint.tags.get(pipeline.RUN_TAG)
    if tagged == run.id:
        return
    owner = context.services.store.find(tagged) if tagged else None
    if owner is None or owner.project != run.project or owner.endpoint != endpoint.name:
        raise EndpointTakenError(
            f"There is an endpoint {endpoint.name} that no run of project {run.project} made; it is left alone. "
            "Delete or rename it, or choose another deploy.endpoint."
        )


def _make_room(context: Context, endpoint: Endpoint, found: Deployment) -> Outcome:
    """Remove what an earlier run has left in this run's place; it has no traffic."""
    run, where = context.run, f"{endpoint.name}/{found.name}"
    if pipeline.RUN_TAG not in found.tags:
        raise EndpointTakenError(f"There is a deployment {where} that this app did not make; delete or rename it.")
    if endpoint.served.get(found.name):
        _choose(context, endpoint)
        return Waiting(f"deployment {where} serves now; this run takes {run.deployment}")
    if found.state != endpoints.DELETING:
        endpoints.begin_delete_deployment(context.services.azureml, endpoint.name, found.name)
    return Waiting(f"deployment {where} of run {found.tags[pipeline.RUN_TAG]} is being deleted")


def _shift(context: Context, rollout: Rollout, endpoint: Endpoint) -> Waiting | None:
    """Move the traffic on as far as it may go now; None: all of it has moved, and nothing speaks against it."""
    steps = context.options.deploy.steps
    while (step := len(rollout.steps)) < len(steps):
        if (waiting := _route(context, rollout, endpoint, steps[step])) is not None:
            return waiting
        if (waiting := baking.bake(context, rollout, endpoint, steps[step])) is not None:
            return waiting
    return None


def _route(context: Context, rollout: Rollout, endpoint: Endpoint, percent: int) -> Waiting | None:
    """Give the new deployment its share; None: it has it."""
    run, previous = context.run, rollout.previous
    wanted = {str(run.deployment): percent if previous else 100, **({previous: 100 - percent} if previous else {})}
    wanted = {name: share for name, share in wanted.items() if share}
    # With all of the traffic goes the endpoint's tag: who looks for its run finds the one that serves.
    tags = pipeline.tags(run) if len(wanted) == 1 else {}
    if endpoint.served == wanted and tags.items() <= endpoint.tags.items():
        rollout.watched_since = rollout.watched_since or context.now
        rollout.began_at = rollout.began_at or rollout.watched_since
        return None
    waiting = Waiting(f"{percent} % of the traffic of {endpoint.name} is being routed to {run.deployment}")
    if rollout.routed_at is None or context.now - rollout.routed_at > SETTLING:
        endpoints.begin_traffic(context.services.azureml, endpoint.name, wanted, tags)
        rollout.routed_at = context.now
        context.save()
    return waiting


def _replace(context: Context, rollout: Rollout, endpoint: Endpoint) -> Outcome:
    """Delete the old deployment, retire its run; then this run is live."""
    run, azureml = context.run, context.services.azureml
    previous = rollout.previous
    if previous is None or previous not in endpoint.traffic:
        return _live(context, rollout)
    if rollout.replaced_at is None:
        rollout.replaced_at = context.now
        context.save()
        if run.cancel_requested:
            raise CancelRequestedError
    old = endpoints.find_deployment(azureml, endpoint.name, previous)
    if old is not None and old.state != endpoints.DELETING:
        endpoints.begin_delete_deployment(azureml, endpoint.name, previous)
    _retire_replaced(context, rollout)
    return Waiting(f"deployment {endpoint.name}/{previous} is being deleted")


def _live(context: Context, rollout: Rollout) -> Moved:
    _retire_replaced(context, rollout)
    return Moved(RunState.LIVE, f"endpoint {context.run.endpoint} answers from {context.run.deployment}")


def _retire_replaced(context: Context, rollout: Rollout) -> None:
    """Record that the old run does not serve any more, once. Raises: RunBusyError: a worker is at it."""
    run, services = context.run, context.services
    old = services.store.find(rollout.previous_run) if rollout.previous_run else None
    if old is None or old.id == run.id or old.state != RunState.LIVE or old.endpoint != run.endpoint:
        return
    with services.store.claim(old.id) as claim, telemetry.about(run_id=old.id, project=old.project):
        if claim.run.state == RunState.LIVE:
            claim.run.move(RunState.RETIRED, now=context.now, trigger="rollout", reason=f"replaced by run {run.id}")
            announce(services, claim)
