"""The steps of a run. Each asks first what exists, then makes it under its fixed name, and never waits.

A step changes the run in place and answers `Moved` or `Waiting`; trouble is raised as one of `shared.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.azureml import jobs, pipeline, registration
from shared.azureml.evaluation import NODE as EVALUATION
from shared.dataset import DatasetRejectedError
from shared.errors import (
    JobCancelledError,
    JobFailedError,
    QueuedTooLongError,
    RefusedByAzureError,
    ResourceGoneError,
    StepError,
    TrainingTooLongError,
)
from shared.runs import admission, evaluation, handover, names, spending
from shared.runs.context import CancelRequestedError, Context, Moved, Outcome, Waiting
from shared.runs.deploying import begin_deploy, deploy, verify, withdraw
from shared.runs.parts import PreparedBy
from shared.runs.preparation import prepare_dataset
from shared.runs.siblings import settle
from shared.runs.states import RunState


def begin(context: Context) -> Outcome:
    """received: wait for what has to lie beside the dataset, then for a turn; then the state says that work begins."""
    if (outcome := settle(context)) is not None:
        admission.step_out(context.run)
        return outcome
    return admission.admit(context) or Moved(RunState.PREPARING, "preparation begins")


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
    if (outcome := spending.check(context)) is not None:
        return outcome
    if (waiting := admission.admit(context)) is not None:
        return waiting  # a run that was held has given its turn away
    preparation = handover.stage(context)
    if isinstance(preparation, Waiting):
        return preparation
    if preparation is None:
        _require_rows(context)
    measuring = evaluation.stage(context)
    run.job_name = names.job_name(run.id, run.job_retries)
    spending.training_begins(context)
    # Saved before the submit: an event of the job may arrive before the call returns. Of this job nothing is known
    # yet; the status of the one before it (a retry) would keep a cancellation from reaching it.
    run.job_status = run.job_queued_at = None
    context.save()
    if run.cancel_requested:
        raise CancelRequestedError
    run.job_status = pipeline.submit(azureml, run, run.plan, run.job_name, preparation, measuring)
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
        raise ResourceGoneError(f"Job {run.job_name} is gone: it was deleted outside this app. A retry trains anew.")
    run.job_status = status
    if status in jobs.ENDED:
        spending.measure(context)
    waiting = handover.follow(context, has_ended=status in jobs.ENDED, has_completed=status == jobs.COMPLETED)
    if waiting is not None and status in jobs.ENDED:
        return waiting
    if status == jobs.COMPLETED:
        return Moved(RunState.TRAINED, f"job {run.job_name} completed")
    if status == jobs.CANCELED:
        raise JobCancelledError(f"Job {run.job_name} was cancelled outside this app.")
    if status in jobs.ENDED:
        why = jobs.failure_of(services.plane, run.job_name)
        if jobs.has_only_failed_in(services.plane, run.job_name, EVALUATION):
            # The model is trained, and paid for: its output is there, whatever became of the step behind it.
            return Moved(
                RunState.TRAINED, f"job {run.job_name} has trained its model; only its evaluation failed: {why}"
            )
        raise JobFailedError(f"Job {run.job_name} failed: {why}")
    return _at_work(context, run.job_name, status)


def _at_work(context: Context, job: str, status: str) -> Waiting:
    """Say what the job is at. Raises: TrainingTooLongError, QueuedTooLongError: it took too long, and is cancelled.

    The queue costs nothing and training does, so the time of each is counted apart: that of the training since the job
    was last seen in the queue, which is rather too long than too short when it was not looked at for a while.
    """
    run, longest = context.run, context.services.settings.max_training_time
    if status in jobs.QUEUED:
        if context.in_state_for > longest:
            jobs.cancel_job(context.services.azureml, job)
            raise QueuedTooLongError(
                f"Job {job} has waited for a machine for more than {longest} (MAX_TRAINING_TIME) and was cancelled. "
                "The region may have none of this VM size to spare: retry later, or set another TRAINING_INSTANCE_TYPE."
            )
        run.job_queued_at = context.now
        return Waiting(f"job {job} is {status}: it waits for a machine, since {run.state_since:%Y-%m-%d %H:%M} UTC")
    if context.now - (run.job_queued_at or run.state_since) > longest:
        jobs.cancel_job(context.services.azureml, job)
        raise TrainingTooLongError(
            f"Job {job} ran for more than {longest} and was cancelled. "
            "Raise MAX_TRAINING_TIME, or train on fewer rows or a larger VM size."
        )
    spending.watch(context)
    return Waiting(f"job {job} is {status}")


def register(context: Context) -> Outcome:
    """trained: read the metrics, register the model under its fixed name and version."""
    run, services = context.run, context.services
    assert run.plan is not None, "a trained run has a plan"
    assert run.job_name is not None, "a trained run has a job"
    try:
        run.metrics = jobs.final_and_best_metrics(services.plane, run.job_name)
    except StepError as fault:
        run.note(f"The job's metrics could not be read: {fault}")
    evaluation.adopt(context)
    foundation_model = run.plan.foundation_model.partition(":")[0]
    versions = [
        names.model_version(run.dataset.modified_at),
        names.other_model_version(run.id, run.dataset.modified_at),
    ]
    try:
        model = registration.register(services.azureml, run, names.model_name(foundation_model, run.project), versions)
    except (RefusedByAzureError, ResourceGoneError):
        if jobs.find_job(services.azureml, run.job_name) is not None:
            raise
        raise ResourceGoneError(
            f"Job {run.job_name} is gone: it was deleted outside this app before its model was registered. "
            "Upload the dataset again to train anew."
        ) from None
    run.model_name, run.model_version = model.name, model.version
    return Moved(RunState.REGISTERED, f"model {model.name}:{model.version} registered")


def clean_up(context: Context) -> None:
    """Begin to remove what would go on billing: the job, the endpoint with its deployment. Only what is the run's own.

    Raises: TransientError: Azure cannot do it just now; it has to be asked again.
    """
    run, azureml = context.run, context.services.azureml
    if run.job_name and run.job_status not in jobs.ENDED:
        jobs.cancel_job(azureml, run.job_name)
        run.job_status = jobs.CANCELED
        spending.measure(context)  # afterwards: nothing is paid for while it is asked
    if run.cancel_requested:
        handover.drop_versions(context)
    withdraw(context)


def stop_straggler(context: Context) -> None:
    """Clean up once more after a run that has ended, if its job turns out to be alive."""
    run = context.run
    if run.job_name is None:
        return
    status = jobs.find_job(context.services.azureml, run.job_name)
    if status is None:
        return  # its name stays used up, for all that is known
    run.job_status = status
    if status not in jobs.ENDED:
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
