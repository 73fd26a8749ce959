"""Whatever is put into a run's record, its row can be written, and says what was left out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.runs.fitting import MESSAGE_LENGTH, MOST_UNITS
from shared.runs.options import OPTIONS_BYTES
from shared.runs.parts import DatasetVersion, Failure, Finding, Findings
from shared.runs.record import HISTORY_HEAD, HISTORY_TAIL, Run, new_run
from shared.runs.rows import entity_of, run_of
from shared.runs.states import RunState

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ROW_BYTES, PROPERTY_BYTES, PROPERTIES = 1024**2, 64 * 1024, 255  # of Azure Table Storage
LETTERS = st.sampled_from('aü€𝄞\n\x01"')  # 1 to 4 bytes, two UTF-16 units, and what JSON escapes


def a_run() -> Run:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=NOW, size=1)
    return new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=NOW, trigger="blob")


def assert_it_is_a_row(run: Run) -> None:
    entity = entity_of(run, "owner", NOW)
    sizes = {name: 2 * len(name) + _bytes(value) for name, value in entity.items()}
    assert max(sizes.values()) <= PROPERTY_BYTES
    assert sum(sizes.values()) <= ROW_BYTES - 4
    assert len(entity) <= PROPERTIES - 3
    assert run_of(entity) == run


def _bytes(value: Any) -> int:
    return len(value.encode("utf-16-le")) if isinstance(value, str) else 8


@st.composite
def long_texts(draw: st.DrawFn, most: int = 20_000) -> str:
    return draw(LETTERS) * draw(st.integers(0, most))


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_run_with_anything_in_it_fits_into_its_row(data: st.DataObject) -> None:
    run = a_run()
    count, draw = st.sampled_from([0, 1, 30, 300, 3000]), data.draw
    for i in range(draw(count)):
        run.note(f"{i} {draw(long_texts()) if i < 60 else ''}")
    half = draw(st.integers(0, OPTIONS_BYTES))
    run.options = {"hyperparameters": {"x": draw(LETTERS) * (half // 6)}}
    metric, value = draw(long_texts(300)), draw(st.floats(allow_nan=False, allow_infinity=False))
    run.metrics = {f"{metric}{i}": value for i in range(draw(count))} | {"eval_loss": 1.5}
    finding = Finding(reason="r", words=draw(long_texts(3000)), rows=1, first=draw(long_texts(3000)))
    run.findings = Findings(
        format="jsonl", layout=None, left_out=[finding] * draw(count), warnings=[draw(long_texts(3000))] * draw(count)
    )
    answer = {"prompt_id": draw(long_texts(300)), "latency_ms": 1, "similarity": 0.5}
    run.smoke_test = {"asked": 3, "answers": [answer] * draw(count), draw(long_texts(300)): draw(long_texts())}
    run.waiting_for = draw(long_texts())
    for i in range(draw(st.integers(0, 120))):
        reason = draw(LETTERS) * 600
        run.move(RunState.FAILED, now=NOW + timedelta(minutes=i), trigger="x" * 200, reason=reason)
        run.move(RunState.RECEIVED, now=NOW + timedelta(minutes=i), trigger="http", reason=reason)
    run.failure = Failure(state=RunState.TRAINING, reason="r", message=draw(long_texts(50_000)), retry_helps=True)
    transitions = len(run.history) + run.history_left_out
    assert_it_is_a_row(run)
    assert len(run.history) + run.history_left_out == transitions
    assert len(run.failure.message) <= MESSAGE_LENGTH
    assert run.metrics["eval_loss"] == 1.5
    assert run.smoke_test["asked"] == 3


def test_a_record_of_a_usual_size_is_left_as_it_is() -> None:
    run = a_run()
    run.metrics = {f"metric{i}": float(i) for i in range(500)}
    run.smoke_test = {"asked": 3, "answers": [{"prompt_id": "p"}] * 100}
    for i in range(40):
        run.note(f"note {i}")
    assert_it_is_a_row(run)
    assert (len(run.metrics), len(run.smoke_test["answers"]), run.shortened) == (500, 100, [])


def test_what_was_shortened_is_said_and_the_least_important_goes_first() -> None:
    run = a_run()
    run.smoke_test = {"asked": 3, "answers": ["x" * MOST_UNITS]}
    run.metrics = {"loss": 1.0}
    assert_it_is_a_row(run)
    assert run.shortened == ["smoke_test"]
    assert (run.smoke_test, run.metrics) == ({"asked": 3}, {"loss": 1.0})


def test_a_long_history_keeps_both_ends_and_counts_what_it_left_out() -> None:
    run = a_run()
    for i in range(200):
        run.move(RunState.FAILED, now=NOW + timedelta(seconds=i), trigger="timer", reason=str(i))
        run.move(RunState.RECEIVED, now=NOW + timedelta(seconds=i), trigger="http", reason="retry")
    assert len(run.history) == HISTORY_HEAD + HISTORY_TAIL
    assert run.history_left_out == 401 - HISTORY_HEAD - HISTORY_TAIL
    assert run.history[0].from_state is None
    assert run.history[HISTORY_HEAD - 1].reason == "9"
    assert run.history[-1].to_state == RunState.RECEIVED


def test_a_transition_says_how_long_the_state_before_it_lasted() -> None:
    run = a_run()
    run.move(RunState.PREPARING, now=NOW + timedelta(seconds=90), trigger="timer", reason="")
    run.move(RunState.PREPARED, now=NOW + timedelta(seconds=30), trigger="timer", reason="by a clock that is slow")
    assert [line.lasted_s for line in run.history] == [None, 90, 0]
    assert [line.at for line in run.history] == sorted(line.at for line in run.history)
