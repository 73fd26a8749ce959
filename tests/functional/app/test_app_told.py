"""What a whole life tells through OpenTelemetry: every line and span of a run carries its ids, and no conversation."""

import time
from types import SimpleNamespace

from azure.functions.timer import TimerRequest

from functions.dataset_uploaded import dataset_uploaded
from functions.timers import advance_runs
from shared.runs.states import RunState
from tests.functional.app.driving import TOWN, App
from tests.told import dimensions, listening

UPLOAD, TICK = SimpleNamespace(invocation_id="upload-1"), SimpleNamespace(invocation_id="tick-1")


def test_a_life_is_told_with_its_ids_and_counted_once(app: App) -> None:
    with listening() as told:
        info = app.upload()
        with app.cloud.holding():
            dataset_uploaded(app.blob(info.name), context=UPLOAD)
        (run,) = [run for run in app.services.store.in_state(RunState.TRAINING) if run.dataset.blob == info.name]
        deadline = time.monotonic() + 240
        while (run := app.run(run)).state != "live":
            assert time.monotonic() < deadline, run
            advance_runs(TimerRequest(past_due=False), context=TICK)
            time.sleep(0.05)
    of_run = [(line, ids) for line, ids in told.lines() if run.id in line]
    assert len(of_run) >= len(run.history) - 1
    by_delivery = {"blob": "upload-1", "timer": "tick-1"}
    for line, ids in of_run:
        assert (ids.get("finetune.run_id"), ids.get("finetune.project")) == (run.id, run.project), line
        assert ids["finetune.delivery_id"] == by_delivery[ids["finetune.trigger"]]
    spans = [span for name in ("advance run", "step") for span in told.spans(name)]
    mine = [span.attributes for span in spans if span.attributes and span.attributes["finetune.run_id"] == run.id]
    assert {str(attributes["state"]) for attributes in mine} >= {"received", "training", "deploying", "verifying"}
    assert all(attributes["finetune.delivery_id"] in by_delivery.values() for attributes in mine)
    counted = told.added("finetune.runs")
    for state in ("received", "preparing", "training", "live"):
        assert counted[dimensions(project=run.project, state=state)] == 1
    assert told.added("finetune.rows")[dimensions(project=run.project, outcome="kept")] == run.rows["rows_kept"]
    assert told.added("finetune.gpu_hours").keys() == {dimensions(project=run.project)}
    everything = " ".join([*(f"{line} {ids}" for line, ids in told.lines()), *(span.to_json() for span in spans)])
    assert TOWN not in everything
