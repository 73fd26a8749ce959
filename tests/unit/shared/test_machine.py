"""Every life that a run may have, played on what decides it: no Azure, no storage, a clock that is put forward."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.dataset import DatasetRejectedError
from shared.errors import (
    AccessDeniedError,
    ConflictError,
    DatasetGoneError,
    JobFailedError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
    StepError,
    TransientError,
)
from shared.runs import machine
from shared.runs.context import Held, Moved, Waiting
from shared.runs.machine import Limits, Todo
from shared.runs.parts import DatasetVersion, OwnEvent, Transition
from shared.runs.record import OUTBOX_LIMIT, Run, new_run
from shared.runs.rows import entity_of, run_of
from shared.runs.states import ENDED, MOVING, RETRY_FROM, TRANSITIONS, RunState

START = datetime(2026, 11, 24, tzinfo=UTC)
S = RunState
NEXT = {
    S.RECEIVED: S.PREPARING,
    S.PREPARING: S.PREPARED,
    S.PREPARED: S.TRAINING,
    S.TRAINING: S.TRAINED,
    S.TRAINED: S.REGISTERED,
    S.REGISTERED: S.DEPLOYING,
    S.DEPLOYING: S.VERIFYING,
    S.VERIFYING: S.LIVE,
}
MAY_HOLD, MAY_REJECT = (S.PREPARED, S.REGISTERED), (S.PREPARING, S.PREPARED, S.TRAINING)
PATIENT = {S.RECEIVED, S.REGISTERED}
"""States in which a run may wait for its turn as long as it takes: it costs nothing."""
FAULTS = (
    AccessDeniedError,
    ConflictError,
    DatasetGoneError,
    JobFailedError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
)
DAY = timedelta(days=1)
LIMITS = Limits(longest={state: DAY for state in NEXT if state not in PATIENT} | {S.TRAINING: 3 * DAY}, training=DAY)
SPANS = st.sampled_from(
    [timedelta(0), timedelta(seconds=7), timedelta(minutes=3), timedelta(hours=1), timedelta(hours=5), DAY, 9 * DAY]
)


def a_run(state: RunState = S.RECEIVED) -> Run:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=START, size=1)
    run = new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=START, trigger="blob")
    while run.state != state:
        run.move(NEXT[run.state], now=START, trigger="test", reason="on its way")
    return run


def rejected() -> DatasetRejectedError:
    report: Any = SimpleNamespace(dataset="datasets/bot/a.jsonl", reason="no row is usable")
    return DatasetRejectedError(report)


class Life(RuleBasedStateMachine):
    """One run. The worker does steps with any outcome, dies, and saves; people and the clock do what they like."""

    @initialize()
    def received(self) -> None:
        self.now, self.run = START, a_run()
        self.told: set[int] = set()
        self.lines: list[Transition] = []
        self.save()

    # --- the worker

    def works(self) -> bool:
        return machine.todo(self.run) == Todo.STEP and machine.may_ask(self.run, self.now)

    def step(self, result: machine.Outcome | machine.Trouble) -> None:
        before, attempts = self.run.state, self.run.attempts
        goes_on = machine.after_step(self.run, result, now=self.now, trigger="test", limits=LIMITS)
        if goes_on:
            assert self.run.state != before or machine.todo(self.run) == Todo.CLEAN_UP, "a step that spins"
        if self.run.state == before and isinstance(result, TransientError) and self.run.ending is None:
            assert self.run.attempts == attempts + 1
            assert self.run.next_attempt_at is not None
            asked = result.retry_after or timedelta()
            assert self.run.next_attempt_at - self.now >= min(asked, machine.LONGEST_ASKED)
            assert self.run.trouble_since is not None
            is_short = self.now - self.run.trouble_since < machine.TROUBLE_FOR
            assert is_short or self.run.attempts < machine.MAX_ATTEMPTS or before == S.TRAINING
        if self.run.state == before and before in LIMITS.longest and self.run.ending is None:
            is_in_time = self.now - self.run.state_since <= LIMITS.longest[before]
            assert is_in_time or self.run.cancel_requested, "a deadline that ends nothing"
        self.save()

    @precondition(works)
    @rule()
    def the_step_is_done(self) -> None:
        before = self.run.state
        self.step(Moved(NEXT[before], "done"))
        assert self.run.state == NEXT[before]

    @precondition(works)
    @rule()
    def the_step_waits(self) -> None:
        self.step(Waiting("Azure"))

    @precondition(works)
    @rule(asked=st.none() | SPANS)
    def azure_is_away(self, asked: timedelta | None) -> None:
        self.step(TransientError("away", asked))

    @precondition(works)
    @rule(fault=st.sampled_from(FAULTS))
    def the_step_fails(self, fault: type[StepError]) -> None:
        self.step(fault("it cannot be done"))

    @precondition(lambda self: self.works() and self.run.state in MAY_HOLD)
    @rule(reason=st.sampled_from(["quality", "budget"]))
    def a_person_has_to_decide(self, reason: str) -> None:
        self.step(Held(reason, "look at it"))
        assert self.run.state == S.HELD

    @precondition(lambda self: self.works() and self.run.state in MAY_REJECT)
    @rule()
    def the_dataset_is_of_no_use(self) -> None:
        self.step(rejected())
        assert self.run.state == S.REJECTED

    @precondition(lambda self: machine.todo(self.run) == Todo.STEP)
    @rule()
    def a_wish_to_cancel_arrives_while_the_step_is_at_work(self) -> None:
        before = self.run.state
        self.run.cancel_requested = True
        self.step(Moved(NEXT[before], "done"))
        assert self.run.state == before
        assert machine.todo(self.run) == Todo.CLEAN_UP

    @precondition(lambda self: machine.todo(self.run) == Todo.CLEAN_UP)
    @rule(trouble=st.none() | st.just(TransientError("away")) | st.just(RefusedByAzureError("no")))
    def what_bills_is_cleaned_up(self, trouble: TransientError | StepError | None) -> None:
        decided, was, wished = self.run.ending, self.run.state, self.run.cancel_requested
        ended = machine.after_clean_up(self.run, trouble, now=self.now, trigger="test")
        assert ended == (self.run.state in ENDED)
        if trouble is None:
            assert ended
        if ended and decided is not None:
            assert (self.run.state, self.run.failure) == (S.FAILED, decided)
        elif ended:
            assert wished
            assert self.run.state == (S.RETIRED if was == S.LIVE else S.CANCELLED)
        self.save()

    @precondition(lambda self: machine.todo(self.run) != Todo.NOTHING)
    @rule(span=SPANS)
    def the_worker_dies_and_the_next_one_comes(self, span: timedelta) -> None:
        self.run = run_of(self.row)
        self.run.crashes += 1
        self.run.trouble_since = self.run.trouble_since or self.now
        self.now += span
        machine.after_crashes(self.run, now=self.now, trigger="test", limits=LIMITS)
        self.save()

    @rule()
    def the_worker_comes_home(self) -> None:
        machine.after_pass(self.run)
        self.save()

    # --- the world

    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.now += span

    @rule()
    def another_instances_clock_is_slow(self) -> None:
        self.now -= timedelta(minutes=3)

    @precondition(lambda self: self.run.state in MOVING | {S.LIVE, S.HELD})
    @rule()
    def a_person_cancels(self) -> None:
        self.run.cancel_requested = True
        assert machine.todo(self.run) == Todo.CLEAN_UP
        self.save()

    @precondition(lambda self: self.run.state == S.HELD and not self.run.cancel_requested)
    @rule()
    def a_person_approves(self) -> None:
        assert self.run.hold is not None
        self.run.approved.append(self.run.hold.reason)
        self.run.move(self.run.hold.state, now=self.now, trigger="http", reason="approved")
        self.save()

    @precondition(lambda self: self.run.state == S.FAILED)
    @rule()
    def a_person_retries(self) -> None:
        assert self.run.failure is not None
        self.run.move(RETRY_FROM[self.run.failure.state], now=self.now, trigger="http", reason="retry")
        assert (self.run.attempts, self.run.crashes, self.run.trouble_since) == (0, 0, None)
        self.save()

    @precondition(lambda self: self.run.state == S.LIVE and not self.run.cancel_requested)
    @rule()
    def nobody_uses_the_endpoint(self) -> None:
        self.run.move(S.RETIRED, now=self.now, trigger="timer", reason="idle")
        self.run.tell_endpoint_retired("idle", now=self.now)
        self.save()

    @precondition(lambda self: self.run.state == S.RETIRED)
    @rule()
    def a_person_deploys_again(self) -> None:
        self.run.move(S.REGISTERED, now=self.now, trigger="http", reason="deploy")
        self.save()

    @rule()
    def the_topic_takes_what_there_is(self) -> None:
        self.told |= {event.number for event in self.run.outbox}
        self.run.outbox.clear()
        self.save()

    def save(self) -> None:
        """Write the row and read it again. What a transition has to tell is in the very row that has the transition."""
        self.row = entity_of(self.run, "", START)
        assert run_of(self.row) == self.run
        assert self.row["Moving"] == (machine.todo(self.run) != Todo.NOTHING or bool(self.run.outbox))
        new = len(self.run.history) + self.run.history_left_out - len(self.lines)
        self.lines += self.run.history[len(self.run.history) - new :]

    # --- always

    @invariant()
    def only_allowed_transitions_are_in_an_ordered_history(self) -> None:
        for before, line in zip(self.lines, self.lines[1:], strict=False):
            assert line.from_state == before.to_state
            assert line.to_state in TRANSITIONS[before.to_state]
            assert line.at >= before.at
            assert line.lasted_s == round((line.at - before.at).total_seconds(), 3)
        assert self.lines[-1].to_state == self.run.state
        assert len(self.run.history) + self.run.history_left_out == len(self.lines)

    @invariant()
    def held_only_with_a_hold_and_failed_only_with_a_failure(self) -> None:
        assert (self.run.hold is not None) == (self.run.state == S.HELD)
        assert (self.run.failure is not None) == (self.run.state in (S.FAILED, S.REJECTED))
        assert self.run.ending is None or self.run.state in MOVING

    @invariant()
    def nobody_is_stuck(self) -> None:
        run = self.run
        if run.state in MOVING or (run.cancel_requested and run.state in (S.LIVE, S.HELD)):
            assert machine.todo(run) != Todo.NOTHING
            assert run.next_attempt_at is None or run.next_attempt_at - self.now <= 2 * machine.LONGEST_ASKED + 9 * DAY
        else:
            assert machine.todo(run) == Todo.NOTHING
            assert run.state in {S.LIVE, S.HELD} | ENDED, "a person, or the sweep, can go on from there"

    @invariant()
    def every_event_is_told_or_kept_and_numbered_once(self) -> None:
        numbers = [event.number for event in self.run.outbox]
        assert numbers == sorted(set(numbers))
        assert self.run.events_recorded >= len(self.lines)
        missing = set(range(1, self.run.events_recorded + 1)) - self.told - set(numbers)
        assert not missing or len(numbers) == OUTBOX_LIMIT or max(missing) < min(numbers, default=10**9)
        assert all(isinstance(event, OwnEvent) for event in self.run.outbox)

    @invariant()
    def what_has_ended_wishes_nothing(self) -> None:
        assert not (self.run.cancel_requested and self.run.state in ENDED)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


# --- nothing goes on for ever


def minutes(run: Run, now: datetime) -> datetime:
    """The timer comes every minute, and at the run's own time."""
    return max(now + timedelta(minutes=1), run.next_attempt_at or now)


@pytest.mark.parametrize("state", NEXT)
def test_a_run_whose_azure_never_comes_back_fails_at_last_and_not_within_an_hour(state: RunState) -> None:
    run, now = a_run(state), START
    while machine.todo(run) == Todo.STEP:
        machine.after_step(run, TransientError("away"), now=now, trigger="test", limits=LIMITS)
        now = minutes(run, now)
        assert now - START < 10 * DAY
    assert now - START > timedelta(hours=1)
    assert run.ending is not None
    assert run.ending.retry_helps
    while machine.todo(run) == Todo.CLEAN_UP:
        machine.after_clean_up(run, TransientError("away"), now=now, trigger="test")
        now = minutes(run, now)
        assert now - START < 20 * DAY
    assert run.state == S.FAILED
    assert "Not removed from Azure" in run.notes[-1]


@pytest.mark.parametrize("state", NEXT)
def test_a_run_that_waits_ends_where_waiting_may_cost_and_nowhere_else(state: RunState) -> None:
    run, now = a_run(state), START
    while machine.todo(run) == Todo.STEP and now - START < 10 * DAY:
        machine.after_step(run, Waiting("Azure"), now=now, trigger="test", limits=LIMITS)
        now += timedelta(minutes=30)
    if state in PATIENT:
        assert (run.state, run.ending, run.waiting_for) == (state, None, "Azure")
    else:
        assert run.ending is not None
        assert run.ending.reason == f"{state}_too_long"
        assert "Azure" in run.ending.message


@pytest.mark.parametrize("state", NEXT)
def test_a_step_that_kills_every_worker_ends_with_its_own_reason(state: RunState) -> None:
    run, now, deaths = a_run(state), START, 0
    while machine.todo(run) == Todo.STEP:
        run.crashes += 1
        run.trouble_since = run.trouble_since or now
        now += timedelta(minutes=2)
        machine.after_crashes(run, now=now, trigger="test", limits=LIMITS)
        deaths += 1
        assert now - START < 5 * DAY
    assert deaths >= machine.MOST_CRASHES
    assert run.ending is not None
    assert run.ending.reason == "worker_died"


def test_a_host_that_is_restarted_many_times_in_a_few_minutes_fails_no_run() -> None:
    run, now = a_run(S.PREPARING), START
    for _ in range(60):
        run.crashes += 1
        run.trouble_since = run.trouble_since or now
        now += timedelta(seconds=10)
        machine.after_crashes(run, now=now, trigger="test", limits=LIMITS)
    assert machine.todo(run) == Todo.STEP


def test_cleaning_up_that_kills_every_worker_ends_too_and_says_what_may_be_left() -> None:
    run = a_run(S.DEPLOYING)
    run.cancel_requested = True
    run.crashes, run.trouble_since = machine.MOST_CRASHES, START
    machine.after_crashes(run, now=START + DAY, trigger="test", limits=LIMITS)
    assert run.state == S.CANCELLED
    assert "Not removed from Azure" in run.notes[-1]


def test_what_is_taken_is_looked_at_again_before_the_run_fails() -> None:
    run, now = a_run(S.DEPLOYING), START
    for _ in range(machine.LOOKS_AT_CONFLICT):
        assert not machine.after_step(run, ConflictError("taken"), now=now, trigger="test", limits=LIMITS)
        now = minutes(run, now)
    machine.after_step(run, ConflictError("taken"), now=now, trigger="test", limits=LIMITS)
    assert run.ending is not None
    assert run.ending.reason == "conflict"


def test_a_fault_that_does_not_end_the_job_ends_no_training() -> None:
    run = a_run(S.TRAINING)
    for _ in range(100):
        machine.after_step(run, AccessDeniedError("no role"), now=START, trigger="test", limits=LIMITS)
    assert (run.ending, run.waiting_for) == (None, "no role")


def test_a_time_that_azure_has_named_is_waited_for_unless_a_person_cancels() -> None:
    run = a_run(S.PREPARED)
    machine.after_step(run, TransientError("busy", timedelta(seconds=90)), now=START, trigger="test", limits=LIMITS)
    assert not machine.may_ask(run, START + timedelta(seconds=89))
    assert machine.may_ask(run, START + timedelta(seconds=100))
    run.cancel_requested = True
    assert machine.may_ask(run, START)


def test_without_such_a_time_an_event_may_come_before_the_next_attempt() -> None:
    run = a_run(S.TRAINING)
    machine.after_step(run, TransientError("away"), now=START, trigger="test", limits=LIMITS)
    assert machine.may_ask(run, START)
