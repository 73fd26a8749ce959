"""The steps of a run. Each asks first what exists, then makes it under its fixed name, and never waits.

A step changes the run in place and answers `Moved` or `Waiting`; trouble is raised as one of `shared.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from shared.azureml import endpoints, jobs, pipeline, registration
from shared.dataset import DatasetRejectedError
from shared.errors import (
    DatasetGoneError,
    DatasetOptionsError,
    DeploymentFailedError,
    EndpointTakenError,
    JobCancelledError,
    JobFailedError,
    ResourceGoneError,
    StepError,
    TrainingTooLongError,
)
from shared.runs import handover, names
from shared.runs.context import Context, Moved, Waiting
from shared.runs.preparation import prepare_dataset
from shared.runs.record import PreparedBy, RunState
from shared.runs.siblings import settle
from shared.runs.smoke_test import smoke_test

Outcome = Moved | Waiting
MOST_WAITING = timedelta(hours=2)  # a large model on a GPU is up in less than half an hour


def begin(context: Context) -> Outcome:
    """received: wait for what has to lie beside the dataset; then the state says that work has begun."""
    return settle(context) or Moved(RunState.PREPARING, "preparation begins")


def prepare(context: Context) -> Outcome:
    """preparing: read the dataset, check every row, split it; a large one is left to the job."""
    run = context.run
    if handover.is_due(context):
        return handover.hand_over(context)
    run.prepared_by = run.prepared_by or PreparedBy.FUNCTION
    try:
        report = prepare_dataset(context)
    except DatasetRejectedError as rejected:
        handover.record_report(run, rejected.report)
        raise
    handover.record_report(run, report)
    return Moved(
        RunState.PREPARED,
        f"{report.rows_train} rows to train on, {report.rows_test} held out, of {report.rows_read} read",
    )


def submit(context: Context) -> Outcome:
    """prepared: resolve model, compute and hyperparameters, then submit the job under the run's id."""
    run, azureml = context.run, context.services.azureml
    if run.prepared_by != PreparedBy.JOB:
        _require_rows(context)
    run.plan, notes = pipeline.plan_training(azureml, run, context.options)
    for note in notes:
        run.note(note)
    preparation = handover.stage(context)
    if isinstance(preparation, Waiting):
        return preparation
    if preparation is None:
        _require_rows(context)
    run.job_name = names.job_name(run.id, run.job_retries)
    # Saved before the submit: an event of the job may arrive before the call returns. Of this job nothing is known
    # yet; the status of the one before it (a retry) would keep a cancellation from reaching it.
    run.job_status = None
    context.save()
    run.job_status = pipeline.submit(azureml, run, run.plan, run.job_name, preparation)
    reason = f"job {run.job_name} submitted to {run.plan.compute} ({run.plan.instance_type})"
    if preparation is not None:
        reason += f"; first it prepares the dataset on {preparation.compute} ({preparation.instance_type})"
    return Moved(RunState.TRAINING, reason)


def _require_rows(context: Context) -> None:
    for file in ("train.jsonl", "test.jsonl"):
        context.services.blobs.require(names.PREPARED, f"{context.run.id}/{file}")


def watch_job(context: Context) -> Outcome:
    """training: look at the job."""
    run, services = context.run, context.services
    assert run.job_name is not None, "a training run has a job"
    status = jobs.find_job(services.azureml, run.job_name)
    if status is None:
        raise ResourceGoneError(f"Job {run.job_name} is gone: it was deleted outside this app.")
    run.job_status = status
    waiting = handover.follow(context, has_ended=status in jobs.ENDED, has_completed=status == jobs.COMPLETED)
    if waiting is not None and status in jobs.ENDED:
        return waiting
    if status == jobs.COMPLETED:
        return Moved(RunState.TRAINED, f"job {run.job_name} completed")
    if status == jobs.CANCELED:
        raise JobCancelledError(f"Job {run.job_name} was cancelled outside this app.")
    if status in jobs.ENDED:
        raise JobFailedError(f"Job {run.job_name} failed: {jobs.failure_of(services.plane, run.job_name)}")
    if context.in_state_for > services.settings.max_training_time:
        jobs.cancel_job(services.azureml, run.job_name)
        raise TrainingTooLongError(
            f"Job {run.job_name} ran for more than {services.settings.max_training_time} and was cancelled. "
            "Raise MAX_TRAINING_TIME, or train on fewer rows or a larger VM size."
        )
    return Waiting(f"job {run.job_name} is {status}")


def register(context: Context) -> Outcome:
    """trained: read the metrics, register the model under its fixed name and version."""
    run, services = context.run, context.services
    assert run.plan is not None, "a trained run has a plan"
    assert run.job_name is not None, "a trained run has a job"
    try:
        run.metrics = jobs.final_metrics(services.plane, run.job_name)
    except StepError as fault:
        run.note(f"The job's metrics could not be read: {fault}")
    foundation_model = run.plan.foundation_model.partition(":")[0]
    model = registration.register(
        services.azureml,
        run,
        names.model_name(foundation_model, run.project),
        [
            names.model_version(run.dataset.modified_at),
            names.other_model_version(run.id, run.dataset.modified_at),
        ],
    )
    run.model_name, run.model_version = model.name, model.version
    return Moved(RunState.REGISTERED, f"model {model.name}:{model.version} registered")


def begin_deploy(context: Context) -> Outcome:
    """registered: fix the names; from here on something may bill."""
    run = context.run
    run.endpoint = names.endpoint_name(run.id, run.project)
    run.deployment = endpoints.DEPLOYMENT
    run.smoke_test = None
    return Moved(RunState.DEPLOYING, f"endpoint {run.endpoint} wanted")


def deploy(context: Context) -> Outcome:
    """deploying: endpoint, then deployment; each begun once, and looked at until it is ready."""
    run, azureml = context.run, context.services.azureml
    assert run.endpoint is not None, "a deploying run has an endpoint's name"
    assert run.deployment is not None, "a deploying run has a deployment's name"
    endpoint = endpoints.find_endpoint(azureml, run.endpoint)
    if endpoint is None:
        endpoints.begin_endpoint(
            azureml, run.endpoint, description=f"{run.project}: {run.model_name}", tags=pipeline.tags(run)
        )
        return Waiting(f"endpoint {run.endpoint} is being made")
    if endpoint.tags.get(pipeline.RUN_TAG) != run.id:
        raise EndpointTakenError(
            f"There is an endpoint {run.endpoint} that this run did not make; it is left alone. Delete or rename it."
        )
    if (waiting := _not_ready(context, endpoint)) is not None:
        return waiting
    run.scoring_uri = endpoint.scoring_uri
    return _deployment(context, run.endpoint, run.deployment)


def verify(context: Context) -> Outcome:
    """verifying: "Succeeded" is not yet "answers". Ask held-out questions, then route all traffic."""
    run, azureml = context.run, context.services.azureml
    assert run.endpoint is not None, "a verifying run has an endpoint"
    assert run.deployment is not None, "a verifying run has a deployment"
    endpoint = endpoints.find_endpoint(azureml, run.endpoint)
    if endpoint is None:
        raise ResourceGoneError(f"Endpoint {run.endpoint} is gone: it was deleted outside this app.")
    if (waiting := _not_ready(context, endpoint)) is not None:
        return waiting
    if run.smoke_test is None:
        run.smoke_test = smoke_test(context)
        context.save()
    everything = {run.deployment: 100}
    # The answer to a traffic PUT, and a while of reads after it, still show the old traffic.
    if dict(endpoint.traffic) != everything:
        endpoints.begin_traffic(azureml, run.endpoint, everything)
        return Waiting(f"the traffic of {run.endpoint} is being routed")
    return Moved(RunState.LIVE, f"endpoint {run.endpoint} answers")


def is_over(fault: StepError) -> bool:
    """Tell whether a fault means that a training run's job has ended; any other one only means that it was not seen."""
    ends = JobFailedError | JobCancelledError | TrainingTooLongError | ResourceGoneError
    return isinstance(fault, ends | DatasetGoneError | DatasetOptionsError)


def clean_up(context: Context) -> None:
    """Begin to remove what would go on billing: the job, the endpoint with its deployment. Only what is the run's own.

    Raises: TransientError: Azure cannot do it just now; it has to be asked again.
    """
    run, azureml = context.run, context.services.azureml
    if run.job_name and run.job_status not in jobs.ENDED:
        jobs.cancel_job(azureml, run.job_name)
        run.job_status = jobs.CANCELED
    if run.cancel_requested:
        handover.drop_versions(context)
    if run.endpoint:
        endpoint = endpoints.find_endpoint(azureml, run.endpoint)
        if endpoint and endpoint.tags.get(pipeline.RUN_TAG) == run.id and endpoint.state != endpoints.DELETING:
            endpoints.begin_delete_endpoint(azureml, run.endpoint)


def stop_straggler(context: Context) -> None:
    """Clean up once more after a run that has ended, if its job turns out to be alive."""
    run = context.run
    if run.job_name is None:
        return
    run.job_status = jobs.find_job(context.services.azureml, run.job_name)
    if run.job_status not in (None, *jobs.ENDED):
        clean_up(context)


STEPS: Mapping[RunState, Callable[[Context], Outcome]] = {
    RunState.RECEIVED: begin,
    RunState.PREPARING: prepare,
    RunState.PREPARED: submit,
    RunState.TRAINING: watch_job,
    RunState.TRAINED: register,
    RunState.REGISTERED: begin_deploy,
    RunState.DEPLOYING: deploy,
    RunState.VERIFYING: verify,
}


def _deployment(context: Context, endpoint: str, deployment: str) -> Outcome:
    run, azureml = context.run, context.services.azureml
    state = endpoints.deployment_state(azureml, endpoint, deployment)
    if state is None:
        assert run.plan is not None, "a deploying run has a plan"
        model = registration.find_model(azureml, str(run.model_name), str(run.model_version))
        if model is None:
            raise ResourceGoneError(
                f"Model {run.model_name}:{run.model_version} is gone: it was deleted outside this app."
            )
        endpoints.begin_deployment(
            azureml,
            endpoint,
            deployment,
            model_id=model.id,
            instance_type=run.plan.serving_instance_type,
            instance_count=context.options.serving_instance_count,
            tags=pipeline.tags(run),
        )
        return Waiting(f"deployment {endpoint}/{deployment} is being made")
    if state in endpoints.BROKEN:
        raise DeploymentFailedError(
            f"Deployment {endpoint}/{deployment} could not start: "
            f"{endpoints.last_words(azureml, endpoint, deployment)}. It is being removed, because it would bill."
        )
    if state != endpoints.SUCCEEDED:
        _raise_if_too_long(context, f"deployment {endpoint}/{deployment} is {state}")
        return Waiting(f"deployment {endpoint}/{deployment} is {state}")
    return Moved(RunState.VERIFYING, f"deployment {endpoint}/{deployment} is up")


def _not_ready(context: Context, endpoint: endpoints.Endpoint) -> Waiting | None:
    """Return what there is to wait for. Raises: DeploymentFailedError: waiting is of no use."""
    if endpoint.state in endpoints.BROKEN:
        raise DeploymentFailedError(f"Endpoint {endpoint.name} is {endpoint.state}; it is being removed.")
    if endpoint.state == endpoints.SUCCEEDED:
        return None
    _raise_if_too_long(context, f"endpoint {endpoint.name} is {endpoint.state}")
    return Waiting(f"endpoint {endpoint.name} is {endpoint.state}")


def _raise_if_too_long(context: Context, what: str) -> None:
    if context.in_state_for > MOST_WAITING:
        raise DeploymentFailedError(
            f"After {MOST_WAITING} {what}. It is being removed, because it may bill; a retry makes it anew."
        )
