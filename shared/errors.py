"""One class per situation that a caller can act on. Messages name the object, what was found, what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta


class FinetuneError(Exception):
    """Base of everything this app raises on purpose; its text is meant for people."""


class SettingsError(FinetuneError):
    """The app's settings are missing or malformed; every fault is listed."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The app's settings need attention:\n" + "\n".join(f"  - {fault}" for fault in faults))


class OptionsError(FinetuneError):
    """A run's options (finetune.yaml, blob metadata, request body) cannot be used."""


class InvalidRequestError(FinetuneError):
    """A request's body or query does not have the expected form."""


# --- runs ----------------------------------------------------------------------------------------------------


class RunNotFoundError(FinetuneError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id!r}. GET /api/runs lists the runs.")


class ActionRefusedError(FinetuneError):
    """The run's state does not allow what was asked."""


class RunBusyError(FinetuneError):
    """Another worker is at this run just now; asking again in a moment helps."""


class EndpointBusyError(RunBusyError):
    """A run is being rolled out on this endpoint; nobody else may change it."""

    def __init__(self, endpoint: str, holder: str) -> None:
        super().__init__(
            f"Run {holder} is being rolled out on endpoint {endpoint}. Wait, or POST /api/runs/{holder}/cancel."
        )


class LeaseLostError(FinetuneError):
    """This worker was away longer than its lease, and another one has taken the run over: stop, change nothing."""


# --- steps: permanent trouble is recorded, transient trouble is scheduled again --------------------------------


class StepError(FinetuneError):
    """A step of a run cannot succeed as things are.

    reason: a short code for programs; the text is for people. retry_helps: whether POST …/retry may change anything.
    """

    reason = "step_failed"
    retry_helps = True


class TransientError(FinetuneError):
    """Azure was busy, slow or away; the same call will probably work later. throttled: too many calls were made."""

    def __init__(self, message: str, retry_after: timedelta | None = None, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.retry_after, self.throttled = retry_after, throttled


class AccessDeniedError(StepError):
    """The app's identity lacks a role."""

    reason = "access_denied"


class QuotaError(StepError):
    """The subscription has no quota left for what was asked."""

    reason = "quota"


class RefusedByAzureError(StepError):
    """Azure refused the request and will refuse it again."""

    reason = "refused_by_azure"


class ConflictError(RefusedByAzureError):
    """Something of this name is there already and cannot be made or changed: another's, or immutable."""

    reason = "conflict"


class ResourceGoneError(StepError):
    """Something that an earlier step made is no longer there: removed by hand, most likely."""

    reason = "resource_gone"


class DatasetGoneError(StepError):
    """The dataset was removed or replaced before it was prepared."""

    reason = "dataset_gone"
    retry_helps = False


class SiblingGoneError(StepError):
    """The test file beside the dataset was removed before it was read to its end."""

    reason = "test_file_gone"


class DatasetOptionsError(StepError):
    """The dataset cannot be read with the options given, which only showed when it was read: a tokenizer, mostly."""

    reason = "options"


class FoundationModelError(StepError):
    """The foundation model or the fine-tuning component is not in the registry."""

    reason = "foundation_model"


class HyperparameterError(StepError):
    """A hyperparameter is not one of the component's inputs, or its value is not allowed there."""

    reason = "hyperparameter"
    retry_helps = False


class ComputeError(StepError):
    """The compute to train or serve on cannot be used."""

    reason = "compute"


class ComputeFailedError(ComputeError):
    """The cluster exists but its provisioning failed."""

    reason = "compute_failed"


class ComputeSizeNotAllowedError(ComputeError):
    """The VM size is not in the model's allow list."""

    reason = "compute_size_not_allowed"


class ComputeSizeUnsupportedError(ComputeError):
    """The VM size's GPU generation cannot be used for fine-tuning."""

    reason = "compute_size_unsupported"


class ComputeSizeUnknownError(ComputeError):
    """The VM size does not exist in the workspace's region."""

    reason = "compute_size_unknown"


class JobFailedError(StepError):
    """The fine-tuning job failed; the text is the job's own."""

    reason = "job_failed"


class JobCancelledError(StepError):
    """Someone cancelled the job outside this app."""

    reason = "job_cancelled"


class TrainingTooLongError(StepError):
    """The job ran longer than MAX_TRAINING_TIME and was cancelled."""

    reason = "training_too_long"


class QueuedTooLongError(StepError):
    """No machine was found for the job within MAX_TRAINING_TIME; the job was cancelled."""

    reason = "queued_too_long"


class OverBudgetError(StepError):
    """The training costs, or would cost, more than the run's budget allows. A retry helps when that was changed."""

    reason = "over_budget"


class DeploymentFailedError(StepError):
    """The deployment could not start; it was removed, because it would bill."""

    reason = "deployment_failed"


class EndpointTakenError(StepError):
    """An endpoint of the run's name exists but does not belong to the run."""

    reason = "endpoint_taken"


class SmokeTestError(StepError):
    """The deployment runs but does not answer held-out questions."""

    reason = "smoke_test_failed"


class RolloutError(StepError):
    """The new deployment did worse than the live one under real traffic; the traffic goes back."""

    reason = "rollout_failed"


class OutOfAttemptsError(StepError):
    """A transient trouble did not go away."""

    reason = "out_of_attempts"


class StateTooLongError(StepError):
    """A run stayed in a state for longer than that can take; the reason names the state."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.reason = f"{state}_too_long"


class WorkerDiedError(StepError):
    """One worker after the other was never heard of again while it was at the run."""

    reason = "worker_died"


class SweepNotFoundError(FinetuneError):
    """There is no record of a sweep of this id."""

    def __init__(self, sweep_id: str) -> None:
        super().__init__(f"There is no sweep {sweep_id}: it never was, or its record is too old. See GET /api/sweeps.")


class SweepBusyError(FinetuneError):
    """Another sweep is going on."""


class EndpointNotFoundError(FinetuneError):
    """No endpoint of this name was made by this app."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no endpoint {name!r} that this app made. GET /api/endpoints lists them.")
