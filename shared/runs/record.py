"""What is recorded of a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from shared.runs.costs import Costs, Estimate, What
from shared.runs.parts import (
    DatasetVersion,
    Evaluation,
    Failure,
    Findings,
    Hold,
    OwnEvent,
    PreparedBy,
    Removal,
    Rollout,
    SplitRule,
    TrainingPlan,
    Transition,
)
from shared.runs.states import ENDED, MOVING, TRANSITIONS, RunState

DEPLOY_ANYWAY = "deploy"
"""Among what a person approved: deploy the model, whatever the quality gate says."""


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
    history_left_out: int = 0
    """How many transitions of a very long history were taken out of its middle."""
    shortened: list[str] = []
    """What was cut because the record was too long for its row."""
    notes: list[str] = []
    failure: Failure | None = None
    ending: Failure | None = None
    """A failure that is decided, while what would go on billing is being removed."""
    hold: Hold | None = None
    """What the run waits for a person to decide, while it is held."""
    approved: list[str] = []
    """The reasons of holds that a person has overruled: the run is not held for them again."""
    cancel_reason: str | None = None
    """Why the run is to be cancelled, when it was not a person who wished it."""
    ticket: str | None = None
    """While the run is in line for its turn: by it a turn is told from one that an earlier wait was given."""
    admitted: bool = False
    """Whether the run has had its turn: it counts as under way until nothing moves it any more."""
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
    split: SplitRule | None = None
    """How test rows were chosen; None: they are the user's own, or not known."""
    plan: TrainingPlan | None = None
    estimate: Estimate | None = None
    """What the training will probably cost, since it was planned."""
    costs: Costs = Costs()
    """What the run has cost, added up when it last moved; `Costs.at` adds up until now."""
    job_name: str | None = None
    job_status: str | None = None
    job_queued_at: datetime | None = None
    """When the job was last seen before a machine had begun to work on it."""
    job_retries: int = 0
    metrics: dict[str, float] = {}
    evaluation: Evaluation | None = None
    model_name: str | None = None
    model_version: str | None = None
    endpoint: str | None = None
    deployment: str | None = None
    scoring_uri: str | None = None
    smoke_test: dict[str, Any] | None = None
    rollout: Rollout | None = None
    """Of a run that shares its project's endpoint; from the moment on when its deployment is chosen."""
    removal: Removal | None = None
    """What was removed when the run was last retired by the sweep or by hand."""
    seen: list[str] = []
    """What of the run's deployment was seen in Azure: if it is not there any more, somebody removed it."""
    waiting_for: str | None = None
    attempts: int = 0
    """How often the step has met with trouble since it last got on."""
    crashes: int = 0
    """How many workers in a row took the run and were never heard of again."""
    trouble_since: datetime | None = None
    next_attempt_at: datetime | None = None
    asked_to_wait: bool = False
    """Whether Azure itself named the time of the next attempt: then no event comes before it."""
    cancel_requested: bool = False
    events_recorded: int = 0
    outbox: list[OwnEvent] = []
    """What is not published yet, oldest first."""
    publish_attempts: int = 0
    publish_at: datetime | None = None
    """When to try again, after the topic could not be reached."""

    @property
    def keeps_address(self) -> bool:
        """Whether its endpoint outlived its deployment on purpose: then it stays, also when bringing it back fails."""
        was_emptied = self.removal is not None and self.removal.action == "delete_deployment"
        return was_emptied and self.state != RunState.CANCELLED and not self.cancel_requested

    def move(self, to: RunState, *, now: datetime, trigger: str, reason: str) -> None:
        """Go to another state, write it into the history, and put the event that tells of it into the outbox.

        Raises: ValueError: the transition is not one of `TRANSITIONS`; that is a fault of this program.
        """
        if to not in TRANSITIONS[self.state]:
            raise ValueError(f"run {self.id}: {self.state} -> {to} is not an allowed transition")
        before = self.state
        # The clocks of two instances differ a little; a history does not run backwards for it.
        at = max(now, self.state_since)
        self._remember(
            Transition(
                at=at,
                from_state=before,
                to_state=to,
                trigger=trigger[:TRIGGER_LENGTH],
                reason=reason[:REASON_LENGTH],
                lasted_s=round((at - self.state_since).total_seconds(), 3),
            )
        )
        self.state, self.state_since = to, at
        self.costs = self.costs.ended(_unpaid_in(to), at).at(at)
        if before == RunState.HELD:
            self.hold = None
        if before == RunState.FAILED:
            self.failure = None
        self.ticket = None
        self.admitted = self.admitted and to in MOVING
        if before in ENDED or to in ENDED:
            self.cancel_requested = False
        self.got_on()

    def got_on(self) -> None:
        """Forget the trouble there was: the step is done, or has only to wait."""
        self.attempts = self.crashes = 0
        self.trouble_since = self.next_attempt_at = self.waiting_for = None
        self.asked_to_wait = False

    def _remember(self, line: Transition) -> None:
        self.history.append(line)
        surplus = max(0, len(self.history) - HISTORY_HEAD - HISTORY_TAIL)
        del self.history[HISTORY_HEAD : HISTORY_HEAD + surplus]
        self.history_left_out += surplus
        self.tell(RUN_STATE_CHANGED, line.at, line.reason, from_state=line.from_state, to_state=line.to_state)

    def tell_endpoint_retired(self, reason: str, *, now: datetime) -> None:
        """Put into the outbox that the run's endpoint was removed and does not bill any more."""
        self.tell(ENDPOINT_RETIRED, now, reason[:REASON_LENGTH])

    def tell(
        self,
        kind: str,
        at: datetime,
        reason: str,
        from_state: RunState | None = None,
        to_state: RunState | None = None,
    ) -> None:
        """Put an event into the outbox. It is published after the row was saved, and again if that is not certain."""
        self.events_recorded += 1
        self.outbox.append(
            OwnEvent(
                number=self.events_recorded,
                kind=kind,
                at=at,
                reason=reason,
                from_state=from_state,
                to_state=to_state,
                endpoint=self.endpoint,
            )
        )
        del self.outbox[:-OUTBOX_LIMIT]

    def saw(self, what: str) -> None:
        """Keep in mind that something of the run's deployment was seen in Azure, since it was last begun."""
        if what not in self.seen:
            self.seen.append(what)

    def note(self, text: str) -> None:
        """Keep a remark for people, once."""
        text = text if len(text) <= NOTE_LENGTH else f"{text[: NOTE_LENGTH - 1]}…"
        if text not in self.notes and len(self.notes) < NOTES_LIMIT:
            self.notes.append(text)


def _unpaid_in(state: RunState) -> list[What]:
    """Return what costs nothing any more in a state: its job has ended, its endpoint is going or gone."""
    training = state == RunState.TRAINING
    serving = state in (RunState.DEPLOYING, RunState.VERIFYING, RunState.LIVE)
    return [what for what, is_paid in ((What.TRAINING, training), (What.ENDPOINT, serving)) if not is_paid]


def wants_work(run: Run) -> bool:
    """Tell whether the app has something to do for a run, without being asked."""
    return run.state in MOVING or (run.state in (RunState.LIVE, RunState.HELD) and run.cancel_requested)


def is_under_way(run: Run) -> bool:
    """Tell whether a run takes one of the MAX_ACTIVE_RUNS places: from its turn on until nothing moves it any more."""
    return run.state in MOVING and (run.admitted or run.state not in (RunState.RECEIVED, RunState.PREPARED))


def is_in_line(run: Run) -> bool:
    """Tell whether a run only waits for its turn; the timer does not look at it, the admission does."""
    return run.ticket is not None and run.state in MOVING and not run.cancel_requested


RUN_STATE_CHANGED = "FinetuneFunctions.RunStateChanged"
ENDPOINT_RETIRED = "FinetuneFunctions.EndpointRetired"
ENDPOINT_WARNED = "FinetuneFunctions.EndpointWarned"
# A row of Table Storage holds 1 MiB; the history keeps its beginning and its newest entries far below that.
HISTORY_HEAD, HISTORY_TAIL, REASON_LENGTH, TRIGGER_LENGTH = 20, 80, 500, 50
NOTES_LIMIT, NOTE_LENGTH = 50, 1000
OUTBOX_LIMIT = 100
"""More events than a run has in weeks; if the topic takes none for longer than that, the oldest are given up."""


def new_run(
    run_id: str, project: str, dataset: DatasetVersion, options: dict[str, Any], *, now: datetime, trigger: str
) -> Run:
    """Make the record of a run that was just received."""
    first = Transition(at=now, from_state=None, to_state=RunState.RECEIVED, trigger=trigger, reason="dataset received")
    run = Run(
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
    run.tell(RUN_STATE_CHANGED, now, first.reason, to_state=first.to_state)
    return run
