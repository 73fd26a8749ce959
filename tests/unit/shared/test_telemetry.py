"""Spans, log lines and metrics carry the ids of their run and nothing that is nobody's business."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from shared import telemetry
from shared.runs.costs import Spell, What
from shared.runs.parts import DatasetVersion, PreparedBy, TrainingPlan
from shared.runs.record import Run, new_run
from shared.runs.states import RunState
from tests.told import Told, dimensions, listening

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
S = RunState
IDS = {
    "finetune.run_id": "bot-20261124000000-0123abcd",
    "finetune.project": "bot",
    "finetune.trigger": "blob",
    "finetune.delivery_id": "d-1",
}


@pytest.fixture
def told() -> Iterator[Told]:
    with listening() as heard:
        yield heard


def a_run() -> Run:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="1", modified_at=START, size=1)
    return new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=START, trigger="blob")


def moved(run: Run, to: RunState, after: timedelta = HOUR) -> None:
    run.move(to, now=run.state_since + after, trigger="timer", reason="test")
    telemetry.run_moved(run)


def a_trained_run(**changes: object) -> Run:
    run = a_run()
    run.plan = TrainingPlan(
        foundation_model="Phi-4",
        foundation_model_id="azureml://x",
        component="c",
        compute="serverless",
        instance_type="Standard_X",
        gpus_per_node=4,
        hyperparameters={},
        serving_instance_type="Standard_X",
        display_name="d",
    )
    run.job_name = run.id
    for name, value in changes.items():
        setattr(run, name, value)
    for state in (S.PREPARING, S.PREPARED):
        moved(run, state)
    run.costs = run.costs.begun(spell(What.TRAINING, run.id, run.state_since))
    return run


def spell(what: What, name: str, at: datetime) -> Spell:
    return Spell(what=what, name=name, instance_type="Standard_X", machines=2, usd_per_hour=3.0, started_at=at)


# --- ids


def test_ids_hold_within_and_not_after() -> None:
    with telemetry.about(trigger="blob", delivery_id="d-1"):
        with telemetry.about(run_id="r", project="p", trigger="rollout"):
            assert telemetry.ids()["finetune.trigger"] == "rollout"
            assert telemetry.ids()["finetune.delivery_id"] == "d-1"
        assert telemetry.ids() == {"finetune.trigger": "blob", "finetune.delivery_id": "d-1"}
    assert telemetry.ids() == {}


def test_a_pools_threads_are_told_the_ids_and_the_span(told: Told) -> None:
    def look(number: int) -> tuple[int, str]:
        with telemetry.about(run_id=f"r{number}"), telemetry.span("look"):
            return number, telemetry.ids()["finetune.trigger"]

    with telemetry.about(trigger="timer"), telemetry.span("tick"), ThreadPoolExecutor(4) as pool:
        assert list(pool.map(telemetry.carried(look), range(20))) == [(n, "timer") for n in range(20)]
    (tick,) = told.spans("tick")
    assert {span.parent.span_id for span in told.spans("look") if span.parent} == {tick.context.span_id}
    assert {str((span.attributes or {})["finetune.run_id"]) for span in told.spans("look")} == {
        f"r{n}" for n in range(20)
    }


def test_every_line_and_span_of_a_run_carries_all_four_ids(told: Told) -> None:
    with telemetry.about(trigger="blob", delivery_id="d-1"), telemetry.of_run(a_run(), "blob"):
        logging.getLogger("shared.runs.lifecycle").info("run %s: on its way", "x")
        with telemetry.span("step", state="received"):
            pass
    assert told.lines() == [("run x: on its way", IDS)]
    (whole,), (step,) = told.spans("advance run"), told.spans("step")
    assert whole.attributes == IDS | {"state": "received"}
    assert step.attributes == IDS | {"state": "received"}


def test_a_line_without_ids_is_told_as_it_is(told: Told) -> None:
    logging.getLogger("shared").info("nothing is known")
    assert told.lines() == [("nothing is known", {})]


def test_a_failed_span_names_the_kind_of_failure_and_quotes_nothing(told: Told) -> None:
    with pytest.raises(ValueError, match="secret"), telemetry.span("step"):
        raise ValueError("what a secret conversation says")
    (span,) = told.spans("step")
    assert span.status.description == "ValueError"
    assert "secret" not in span.to_json()


# --- metrics


def test_a_new_run_counts_as_received(told: Told) -> None:
    telemetry.run_received(a_run())
    assert told.added("finetune.runs") == {dimensions(project="bot", state="received"): 1}
    assert told.added("finetune.run_seconds") == {}


def test_a_run_that_is_refused_at_once_counts_as_both(told: Told) -> None:
    run = a_run()
    run.move(S.REJECTED, now=START, trigger="blob", reason="options")
    telemetry.run_received(run)
    assert told.added("finetune.runs") == {
        dimensions(project="bot", state="received"): 1,
        dimensions(project="bot", state="rejected"): 1,
    }


def test_every_transition_counts_once_with_the_seconds_of_the_state_that_was_left(told: Told) -> None:
    run = a_run()
    moved(run, S.PREPARING, timedelta(seconds=5))
    moved(run, S.FAILED, timedelta(seconds=7))
    assert told.added("finetune.runs") == {
        dimensions(project="bot", state="preparing"): 1,
        dimensions(project="bot", state="failed"): 1,
    }
    assert told.added("finetune.run_seconds") == {
        dimensions(project="bot", state="received"): 5,
        dimensions(project="bot", state="preparing"): 7,
    }


def test_rows_count_when_the_function_has_prepared_them_and_not_again(told: Told) -> None:
    run = a_trained_run(rows={"rows_read": 12, "rows_kept": 9, "rows_rejected": 2, "rows_duplicate": 1})
    moved(run, S.TRAINING)
    moved(run, S.TRAINED)
    assert told.added("finetune.rows") == {
        dimensions(project="bot", outcome="kept"): 9,
        dimensions(project="bot", outcome="rejected"): 2,
        dimensions(project="bot", outcome="duplicate"): 1,
    }


def test_rows_that_the_job_prepared_count_when_it_has_ended(told: Told) -> None:
    run = a_trained_run(prepared_by=PreparedBy.JOB)
    moved(run, S.TRAINING)
    assert told.added("finetune.rows") == {}
    run.rows = {"rows_kept": 9}
    moved(run, S.TRAINED)
    assert told.added("finetune.rows") == {dimensions(project="bot", outcome="kept"): 9}


def test_gpu_hours_are_those_of_all_gpus_of_all_nodes_of_the_job(told: Told) -> None:
    run = a_trained_run()
    moved(run, S.TRAINING, timedelta())
    assert told.added("finetune.gpu_hours") == {}
    moved(run, S.FAILED, 3 * HOUR)
    assert told.added("finetune.gpu_hours") == {dimensions(project="bot"): 3 * 2 * 4}


def test_endpoint_hours_count_when_serving_ends_and_each_time_only_the_new_ones(told: Told) -> None:
    run = a_trained_run(endpoint="bot-1", deployment="blue")
    for state in (S.TRAINING, S.TRAINED, S.REGISTERED):
        moved(run, state)
    for hours in (5, 1):
        run.costs = run.costs.begun(spell(What.ENDPOINT, "bot-1/blue", run.state_since))
        for state, lasted in ((S.DEPLOYING, 0), (S.VERIFYING, 1), (S.LIVE, 1), (S.RETIRED, hours)):
            moved(run, state, lasted * HOUR)
        moved(run, S.REGISTERED, 100 * HOUR)
    assert told.added("finetune.endpoint_hours") == {dimensions(project="bot"): (2 + 5 + 2 + 1) * 2}


def test_a_sweep_tells_its_outcome_its_orphans_and_what_it_saves(told: Told) -> None:
    telemetry.sweep_done(trigger="timer", outcome="ok", orphans=3, saved_usd=12.5)
    telemetry.sweep_done(trigger="http", outcome="ok", dry_run=True, saved_usd=99)
    assert told.added("finetune.sweeps") == {
        dimensions(trigger="timer", outcome="ok", dry_run=False): 1,
        dimensions(trigger="http", outcome="ok", dry_run=True): 1,
    }
    assert told.added("finetune.saved_usd") == {dimensions(): 12.5}
    assert told.added("finetune.orphan_endpoints") == {dimensions(): 3}
    telemetry.sweep_done(trigger="timer", outcome="failed")
    assert told.added("finetune.orphan_endpoints") == {dimensions(): 3}
