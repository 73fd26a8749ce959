"""What all ways of deploying have in common: endpoint and deployment, begun once and looked at until they are up."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.azureml import endpoints, pipeline, registration
from shared.azureml.endpoints import Deployment, Endpoint
from shared.errors import DeploymentFailedError, QuotaError, RefusedByAzureError, ResourceGoneError
from shared.runs import spending
from shared.runs.context import Context, Moved, Outcome, Waiting
from shared.runs.states import RunState

MOST_WAITING = timedelta(hours=2)  # a large model on a GPU is up in less than half an hour


def begin_endpoint(context: Context, name: str) -> Waiting:
    """Begin to create the run's endpoint. Raises: ResourceGoneError: it was there before."""
    run = context.run
    raise_if_removed(context, f"Endpoint {name}")
    endpoints.begin_endpoint(
        context.services.azureml,
        name,
        description=f"{run.project}: {run.model_name}",
        tags=pipeline.tags(run),
        auth_mode=context.options.deploy.auth_mode or "key",
    )
    return Waiting(f"endpoint {name} is being made")


def not_ready(context: Context, endpoint: Endpoint, since: datetime | None = None) -> Waiting | None:
    """Return what there is to wait for, None when the endpoint can be changed.

    Args: since: when the change began that may be under way; the run's state did, when nothing else did.
    Raises: DeploymentFailedError: waiting is of no use.
    """
    if endpoint.state in endpoints.BROKEN:
        raise DeploymentFailedError(f"Endpoint {endpoint.name} is {endpoint.state}; it is being removed.")
    if endpoint.state == endpoints.SUCCEEDED:
        return None
    _raise_if_too_long(context, f"endpoint {endpoint.name} is {endpoint.state}", since)
    return Waiting(f"endpoint {endpoint.name} is {endpoint.state}")


def bring_up(context: Context, endpoint: str, deployment: str, found: Deployment | None) -> Outcome:
    """Begin the run's deployment, or look at how far it has come.

    Raises: DeploymentFailedError, ResourceGoneError; QuotaError: of none of the VM sizes that would do is there enough.
    """
    name = f"{endpoint}/{deployment}"
    spending.deployment_begins(context)
    if found is None:
        raise_if_removed(context, f"Deployment {name}")
        try:
            _begin_deployment(context, endpoint, deployment)
        except RefusedByAzureError:
            # When the answer is lost, the SDK asks again; by then the deployment may be there already, and broken.
            found = endpoints.find_deployment(context.services.azureml, endpoint, deployment)
            if found is None or found.state not in endpoints.BROKEN:
                raise
        else:
            return Waiting(f"deployment {name} is being made")
    _record_size(context, found.instance_type)
    if found.state != endpoints.DELETING:
        context.run.saw(f"Deployment {name}")
    if found.state in endpoints.BROKEN:
        said = endpoints.last_words(context.services.azureml, endpoint, deployment)
        raise DeploymentFailedError(
            f"Deployment {name} could not start: {said}. It is being removed, because it would bill."
        )
    if found.state != endpoints.SUCCEEDED:
        _raise_if_too_long(context, f"deployment {name} is {found.state}")
        return Waiting(f"deployment {name} is {found.state}")
    return Moved(RunState.VERIFYING, f"deployment {name} is up")


def raise_if_removed(context: Context, what: str) -> None:
    """Raise ResourceGoneError: what was seen and is not there any more is not made again behind somebody's back."""
    if what in context.run.seen:
        raise ResourceGoneError(
            f"{what} is gone: it was deleted outside this app while the run made it ready. A retry makes it anew."
        )


def _begin_deployment(context: Context, endpoint: str, deployment: str) -> None:
    """Begin a deployment on the first of the run's VM sizes that has quota."""
    run, azureml = context.run, context.services.azureml
    assert run.plan is not None, "a deploying run has a plan"
    model = registration.find_model(azureml, str(run.model_name), str(run.model_version))
    if model is None:
        raise ResourceGoneError(
            f"Model {run.model_name}:{run.model_version} is gone: it was deleted outside this app. "
            "Upload the dataset again to train anew."
        )
    refusal: QuotaError | None = None
    for size in run.plan.serving_instance_types or [run.plan.serving_instance_type]:
        try:
            endpoints.begin_deployment(
                azureml,
                endpoint,
                deployment,
                model_id=model.id,
                instance_type=size,
                instance_count=context.options.serving_instance_count,
                tags=pipeline.tags(run),
            )
        except QuotaError as fault:
            refusal = fault
            run.note(f"Not deployed on {size}: {fault}")
        else:
            _record_size(context, size)
            return
    assert refusal is not None, "a plan has a size to serve on"
    raise refusal


def _record_size(context: Context, size: str) -> None:
    """Keep in mind which VM size it became, for people and for the costs."""
    run = context.run
    if run.plan is not None and run.plan.serving_instance_type.lower() != size.lower():
        run.plan = replace(run.plan, serving_instance_type=size)
        spending.deployment_begins(context)


def _raise_if_too_long(context: Context, what: str, since: datetime | None = None) -> None:
    if context.now - (since or context.run.state_since) > MOST_WAITING:
        raise DeploymentFailedError(
            f"After {MOST_WAITING} {what}. It is being removed, because it may bill; a retry makes it anew."
        )
