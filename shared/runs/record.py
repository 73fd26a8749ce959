"""What is recorded of a run, its states, and which transitions are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class RunState(StrEnum):
    """The states of a run's life, in the order of the happy road, then the ends and the waiting states."""

    RECEIVED = "received"
    PREPARING = "preparing"
    PREPARED = "prepared"
    TRAINING = "training"
    TRAINED = "trained"
    REGISTERED = "registered"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    LIVE = "live"
    RETIRED = "retired"
    HELD = "held"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


class PreparedBy(StrEnum):
    """Who prepares a run's dataset: the function, or, when it is large, the run's job in a step of its own."""

    FUNCTION = "function"
    JOB = "job"


_S = RunState
_ANYTIME = {_S.FAILED, _S.CANCELLED}
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    _S.RECEIVED: frozenset({_S.PREPARING, _S.REJECTED} | _ANYTIME),
    _S.PREPARING: frozenset({_S.PREPARED, _S.REJECTED} | _ANYTIME),
    # Rejected as late as this: by a job that prepared the dataset itself.
    _S.PREPARED: frozenset({_S.TRAINING, _S.REJECTED} | _ANYTIME),
    _S.TRAINING: frozenset({_S.TRAINED, _S.REJECTED} | _ANYTIME),
    _S.TRAINED: frozenset({_S.REGISTERED} | _ANYTIME),
    _S.REGISTERED: frozenset({_S.DEPLOYING, _S.HELD} | _ANYTIME),
    _S.DEPLOYING: frozenset({_S.VERIFYING} | _ANYTIME),
    _S.VERIFYING: frozenset({_S.LIVE} | _ANYTIME),
    _S.LIVE: frozenset({_S.RETIRED}),
    _S.HELD: frozenset({_S.DEPLOYING, _S.CANCELLED}),
    _S.RETIRED: frozenset({_S.DEPLOYING}),
    _S.REJECTED: frozenset(),
    # A retry continues from the step that failed.
    _S.FAILED: frozenset({_S.RECEIVED, _S.PREPARED, _S.TRAINED, _S.REGISTERED}),
    # Only what was set aside as a test file, and is asked for by name all the same.
    _S.CANCELLED: frozenset({_S.RECEIVED}),
}
MOVING = frozenset(
    {_S.RECEIVED, _S.PREPARING, _S.PREPARED, _S.TRAINING, _S.TRAINED, _S.REGISTERED, _S.DEPLOYING, _S.VERIFYING}
)
"""States that the app leaves by itself: the timer looks at these runs."""

ENGAGED = MOVING | {_S.LIVE, _S.HELD}
"""States in which a run still speaks for its dataset: the same content uploaded again is the same run."""

RETRY_FROM: Mapping[RunState, RunState] = {
    _S.RECEIVED: _S.RECEIVED,
    _S.PREPARING: _S.RECEIVED,
    _S.PREPARED: _S.PREPARED,
    _S.TRAINING: _S.PREPARED,
    _S.TRAINED: _S.TRAINED,
    _S.REGISTERED: _S.REGISTERED,
    _S.DEPLOYING: _S.REGISTERED,
    _S.VERIFYING: _S.REGISTERED,
}
"""Where a retry goes on, by the state in which the run failed."""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a run's history."""

    at: datetime
    from_state: RunState | None
    to_state: RunState
    trigger: str
    reason: str


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


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the job was submitted with, resolved from all layers of options and from Azure's catalog."""

    foundation_model: str
    foundation_model_id: str
    component: str
    compute: str
    instance_type: str
    gpus_per_node: int
    hyperparameters: dict[str, str]
    serving_instance_type: str
    display_name: str


class Run(msgspec.Struct, kw_only=True):
    """A run as it is stored and shown. Times are aware and UTC."""

    id: str
    project: str
    dataset: DatasetVersion
    options: dict[str, Any]
    state: RunState
    created_at: datetime
    updated_at: datetime
    state_since: datetime
    history: list[Transition] = []
    notes: list[str] = []
    failure: Failure | None = None
    ending: Failure | None = None
    """A failure that is decided, while what would go on billing is being removed."""
    asked: bool = False
    """Whether a person named this very dataset, whatever its name looks like."""
    set_aside: bool = False
    """Whether the dataset turned out to be the test file of one beside it, for which the run was cancelled."""
    test_file: DatasetVersion | None = None
    """The test file of the user's own that the dataset is prepared with."""
    prepared_by: PreparedBy | None = None
    rows: dict[str, int] = {}
    findings: Findings | None = None
    test_sha256: str | None = None
    plan: TrainingPlan | None = None
    job_name: str | None = None
    job_status: str | None = None
    job_retries: int = 0
    metrics: dict[str, float] = {}
    model_name: str | None = None
    model_version: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    scoring_uri: str | None = None
    smoke_test: dict[str, Any] | None = None
    waiting_for: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    cancel_requested: bool = False

    def move(self, to: RunState, *, now: datetime, trigger: str, reason: str) -> None:
        """Go to another state and write it into the history.

        Raises: ValueError: the transition is not one of `TRANSITIONS`; that is a fault of this program.
        """
        if to not in TRANSITIONS[self.state]:
            raise ValueError(f"run {self.id}: {self.state} -> {to} is not an allowed transition")
        self.history.append(
            Transition(at=now, from_state=self.state, to_state=to, trigger=trigger, reason=reason[:REASON_LENGTH])
        )
        del self.history[HISTORY_HEAD : max(HISTORY_HEAD, len(self.history) - HISTORY_TAIL)]
        self.state = to
        self.state_since = now
        self.attempts = 0
        self.next_attempt_at = None
        self.waiting_for = None

    def note(self, text: str) -> None:
        """Keep a remark for people, once."""
        if text not in self.notes and len(self.notes) < NOTES_LIMIT:
            self.notes.append(text)


def wants_work(run: Run) -> bool:
    """Tell whether the app has something to do for a run, without being asked."""
    return run.state in MOVING or (run.state == RunState.LIVE and run.cancel_requested)


# A row of Table Storage holds 1 MiB; the history keeps its beginning and its newest entries far below that.
HISTORY_HEAD, HISTORY_TAIL, REASON_LENGTH, NOTES_LIMIT = 20, 80, 500, 50


def new_run(
    run_id: str, project: str, dataset: DatasetVersion, options: dict[str, Any], *, now: datetime, trigger: str
) -> Run:
    """Make the record of a run that was just received."""
    first = Transition(at=now, from_state=None, to_state=RunState.RECEIVED, trigger=trigger, reason="dataset received")
    return Run(
        id=run_id,
        project=project,
        dataset=dataset,
        options=options,
        state=RunState.RECEIVED,
        created_at=now,
        updated_at=now,
        state_since=now,
        history=[first],
    )
