from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runs.parts import DatasetVersion
from shared.runs.record import HISTORY_HEAD, HISTORY_TAIL, Run, new_run
from shared.runs.rows import CHUNK, entity_of, run_of
from shared.runs.states import MOVING, RETRY_FROM, TRANSITIONS, RunState
from shared.runs.steps import STEPS

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def a_run() -> Run:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=NOW, size=1)
    return new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=NOW, trigger="blob")


def test_a_transition_is_recorded_and_clears_the_waiting() -> None:
    run = a_run()
    run.attempts, run.waiting_for, run.next_attempt_at = 3, "Azure", NOW
    run.move(RunState.PREPARING, now=NOW + timedelta(seconds=1), trigger="timer", reason="r")
    assert [entry.to_state for entry in run.history] == ["received", "preparing"]
    assert (run.attempts, run.waiting_for, run.next_attempt_at) == (0, None, None)


def test_a_transition_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match="received -> live"):
        a_run().move(RunState.LIVE, now=NOW, trigger="timer", reason="")


def test_every_moving_state_has_a_step_and_a_place_to_retry_from() -> None:
    assert set(STEPS) == MOVING == set(RETRY_FROM)
    assert set(TRANSITIONS) == set(RunState)
    assert set(RETRY_FROM.values()) <= TRANSITIONS[RunState.FAILED]
    assert all(RunState.CANCELLED in TRANSITIONS[state] for state in MOVING)


@given(st.data())
def test_whatever_happens_a_run_can_only_end_where_nothing_moves(data: st.DataObject) -> None:
    run = a_run()
    for _ in range(30):
        choices = sorted(TRANSITIONS[run.state])
        if not choices:
            break
        run.move(data.draw(st.sampled_from(choices)), now=NOW, trigger="timer", reason="r")
        assert run_of(entity_of(run, "", NOW)) == run
    assert run.state in MOVING or run.state in TRANSITIONS


def test_a_long_life_stays_within_a_row_and_keeps_beginning_and_end() -> None:
    run = a_run()
    for i in range(500):
        run.move(RunState.FAILED, now=NOW, trigger="timer", reason=f"{i} " + "ü" * 1000)
        run.move(RunState.RECEIVED, now=NOW, trigger="http", reason="retry")
    assert len(run.history) == HISTORY_HEAD + HISTORY_TAIL
    assert run.history[0].from_state is None
    assert run.history[-1].to_state == RunState.RECEIVED
    entity = entity_of(run, "owner", NOW)
    assert all(len(value) <= CHUNK for key, value in entity.items() if key.startswith("Record"))
    assert sum(len(value) for key, value in entity.items() if key.startswith("Record")) < 400_000
    assert run_of(entity) == run


def test_a_row_of_before_jobs_could_prepare_is_read() -> None:
    run = a_run()
    old = msgspec.to_builtins(run)
    del old["prepared_by"]
    assert msgspec.convert(old, Run) == run
