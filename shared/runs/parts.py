"""What a run's record is made of: values, written down once they are known."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from shared.runs.states import RunState


class PreparedBy(StrEnum):
    """Who prepares a run's dataset: the function, or, when it is large, the run's job in a step of its own."""

    FUNCTION = "function"
    JOB = "job"


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a run's history."""

    at: datetime
    from_state: RunState | None
    to_state: RunState
    trigger: str
    reason: str
    lasted_s: float | None = None
    """How long the run had been in `from_state`, in seconds."""


class OwnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something to tell the world: it stays in the run's row until the topic has taken it."""

    number: int
    """Counts the run's events and never repeats: a subscriber knows by it what it was told already."""
    kind: str
    at: datetime
    reason: str
    from_state: RunState | None = None
    to_state: RunState | None = None
    endpoint: str | None = None


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The blob that a run trains on: one version of it."""

    container: str
    blob: str
    etag: str
    modified_at: datetime
    size: int
    md5: str | None = None

    @property
    def path(self) -> str:
        """Return `container/blob`, as people write it."""
        return f"{self.container}/{self.blob}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Why rows were left out: the code, the words for it, how many, and the first place where."""

    reason: str
    words: str
    rows: int
    first: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What preparation found in the dataset, as much of it as a person wants to know first."""

    format: str | None
    layout: str | None
    left_out: list[Finding] = []
    warnings: list[str] = []
    rows_mendable: int = 0
    repaired: bool = False
    """Whether `repaired.jsonl` was written."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed or was rejected, in which state, and whether a retry can help."""

    state: RunState
    reason: str
    message: str
    retry_helps: bool


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run waits for a person, and in which state it would go on. reason: a short code for programs."""

    state: RunState
    reason: str
    message: str


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the job was submitted with, resolved from all layers of options and from Azure's catalog."""

    foundation_model: str
    foundation_model_id: str
    component: str
    compute: str
    instance_type: str
    gpus_per_node: int
    low_priority: bool = False
    hyperparameters: dict[str, str]
    serving_instance_type: str
    """The one it is served on; before there is a deployment, the first that will be tried."""
    serving_instance_types: list[str] = []
    display_name: str


class SplitRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a dataset was divided into rows to train on and rows to test with: by a seeded hash of the prompt."""

    seed: int
    test_fraction: float


class ModelScore(msgspec.Struct, frozen=True, kw_only=True):
    """How good one model is on a run's test rows; see `shared.evaluation.results.Score`. None: not measured."""

    loss: float | None = None
    perplexity: float | None = None
    loss_per_character: float | None = None
    similarity: float | None = None
    probe_accuracy: float | None = None
    rows: int = 0
    tokenization: str = ""
    error: str | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What the job measured: the base model, the trained one (candidate), and the one that was live at the submit.

    compared_with: the run of that live model. rows_test: of test.jsonl, of which not all may be looked at. error: why
    numbers are missing.
    """

    base: ModelScore | None = None
    candidate: ModelScore | None = None
    live: ModelScore | None = None
    compared_with: str | None = None
    rows_test: int = 0
    error: str | None = None


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a rollout that is done: what was seen while the new deployment had this much of the traffic.

    requests, failures, latency_ms: of the new deployment; None: not known, or not looked at.
    """

    percent: int
    since: datetime
    until: datetime
    requests: float | None = None
    failures: float | None = None
    latency_ms: float | None = None


class Rollout(msgspec.Struct, kw_only=True):
    """How far a run's deployment has come in taking the traffic over from the one that was live."""

    previous: str | None = None
    """The deployment that served when this run's own was chosen; None: none did, or it is gone."""
    previous_run: str | None = None
    steps: list[RolloutStep] = []
    routed_at: datetime | None = None
    """When the traffic of the present step was asked for."""
    watched_since: datetime | None = None
    """When the traffic of the present step was seen."""
    began_at: datetime | None = None
    """When the new deployment got its first traffic."""
    replaced_at: datetime | None = None
    """When the deletion of the old deployment began: from then on there is no way back."""


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed when the run was retired, and all that is needed to bring it back under the same name.

    action: delete_endpoint, or delete_deployment: the endpoint is still there. usd_per_hour: what it cost; None: not
    known. bring_back: the one call that does it.
    """

    at: datetime
    action: str
    code: str
    reason: str
    endpoint: str
    deployment: str | None = None
    instance_type: str | None = None
    instance_count: int | None = None
    auth_mode: str = "key"
    tags: dict[str, str] = {}
    usd_per_hour: float | None = None
    bring_back: str = ""
