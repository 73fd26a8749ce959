"""From a registered model to a live endpoint: one for each run. One for each project: `shared.runs.rollout`."""

from __future__ import annotations

from shared.azureml import endpoints, pipeline
from shared.errors import EndpointTakenError, RefusedByAzureError, ResourceGoneError, TransientError
from shared.runs import admission, endpoint_lock, names, quality, rollout
from shared.runs.context import Context, Moved, Outcome, Waiting
from shared.runs.provisioning import begin_endpoint, bring_up, not_ready, raise_if_removed
from shared.runs.record import DEPLOY_ANYWAY, Run
from shared.runs.smoke_test import smoke_test
from shared.runs.states import RunState


def begin_deploy(context: Context) -> Outcome:
    """registered: fix the names; from here on something may bill."""
    run = context.run
    held = None if DEPLOY_ANYWAY in run.approved else quality.gate(context)
    if (outcome := held or admission.admit_endpoint(context)) is not None:
        return outcome
    options = context.options.deploy
    if options.is_blue_green:
        return rollout.begin(context)
    name = options.endpoint or names.endpoint_name(run.id, run.project)
    # A name that a person chose may be another run's choice, too.
    if options.endpoint and (waiting := endpoint_lock.acquire(context, name)) is not None:
        return waiting
    run.endpoint, run.deployment, run.rollout = name, endpoints.BLUE, None
    run.smoke_test = None
    run.seen = []
    return Moved(RunState.DEPLOYING, f"endpoint {run.endpoint} wanted")


def deploy(context: Context) -> Outcome:
    """deploying: endpoint, then deployment; each begun once, and looked at until it is ready."""
    run, azureml = context.run, context.services.azureml
    assert run.endpoint is not None, "a deploying run has an endpoint's name"
    assert run.deployment is not None, "a deploying run has a deployment's name"
    if run.rollout is not None:
        return rollout.deploy(context, run.rollout)
    endpoint = endpoints.find_endpoint(azureml, run.endpoint)
    if endpoint is None:
        return begin_endpoint(context, run.endpoint)
    if endpoint.tags.get(pipeline.RUN_TAG) != run.id:
        raise EndpointTakenError(
            f"There is an endpoint {run.endpoint} that this run did not make; it is left alone. Delete or rename it."
        )
    if endpoint.state != endpoints.DELETING:
        run.saw(f"Endpoint {run.endpoint}")
    if (waiting := not_ready(context, endpoint)) is not None:
        return waiting
    run.scoring_uri = endpoint.scoring_uri
    found = endpoints.find_deployment(azureml, run.endpoint, run.deployment)
    return bring_up(context, run.endpoint, run.deployment, found)


def verify(context: Context) -> Outcome:
    """verifying: "Succeeded" is not yet "answers". Ask held-out questions, then route all traffic."""
    run, azureml = context.run, context.services.azureml
    assert run.endpoint is not None, "a verifying run has an endpoint"
    assert run.deployment is not None, "a verifying run has a deployment"
    if run.rollout is not None:
        return rollout.verify(context, run.rollout)
    endpoint = endpoints.find_endpoint(azureml, run.endpoint)
    if endpoint is None:
        raise ResourceGoneError(f"Endpoint {run.endpoint} is gone: it was deleted outside this app.")
    if (waiting := not_ready(context, endpoint)) is not None:
        return waiting
    everything = {run.deployment: 100}
    try:
        if run.smoke_test is None:
            run.smoke_test = smoke_test(context)
            context.save()
        # The answer to a traffic PUT, and a while of reads after it, still show the old traffic.
        if endpoint.served == everything:
            return Moved(RunState.LIVE, f"endpoint {run.endpoint} answers")
        endpoints.begin_traffic(azureml, run.endpoint, everything)
    except RefusedByAzureError:
        if endpoints.find_deployment(azureml, run.endpoint, run.deployment) is None:
            raise_if_removed(context, f"Deployment {run.endpoint}/{run.deployment}")
        raise
    else:
        return Waiting(f"the traffic of {run.endpoint} is being routed")


def withdraw(context: Context) -> None:
    """Begin to remove what a run that ends has at its endpoint; what serves another run is left alone.

    Raises: TransientError: it has to be asked again.
    """
    run, azureml = context.run, context.services.azureml
    if run.rollout is not None:
        rollout.withdraw(context, run.rollout)
    elif run.endpoint and _is_own(run, endpoint := endpoints.find_endpoint(azureml, run.endpoint)):
        assert endpoint is not None, "only an endpoint that is there is anyone's own"
        if endpoint.state == endpoints.DELETING:
            return
        if run.keeps_address:
            _withdraw_deployment(context, endpoint)
        else:
            endpoints.begin_delete_endpoint(azureml, run.endpoint)


def _withdraw_deployment(context: Context, endpoint: endpoints.Endpoint) -> None:
    """Delete the run's deployment alone; Azure refuses that as long as it has traffic."""
    azureml, name = context.services.azureml, context.run.deployment
    found = endpoints.find_deployment(azureml, endpoint.name, name) if name else None
    if found is None or found.state == endpoints.DELETING:
        return
    if endpoint.served.get(found.name):
        rest = {other: percent for other, percent in endpoint.served.items() if other != found.name}
        endpoints.begin_traffic(azureml, endpoint.name, rest)
        raise TransientError(f"the traffic of endpoint {endpoint.name} is taken away")
    endpoints.begin_delete_deployment(azureml, endpoint.name, found.name)


def _is_own(run: Run, endpoint: endpoints.Endpoint | None) -> bool:
    return endpoint is not None and endpoint.tags.get(pipeline.RUN_TAG) == run.id
