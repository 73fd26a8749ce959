"""From a dropped dataset to an endpoint that answers: what is there at the end, and what it says."""

from typing import Any

import pytest

from shared.runs import chat, reception
from shared.runs.lifecycle import advance_all
from shared.runs.record import Run
from tests.functional.app.driving import LIFE, TOWN, App, states


@pytest.fixture(scope="module")
def live(module_app: App) -> Run:
    return module_app.one_live(metadata={"finetune_learning_rate": "2e-4"}, yaml="hyperparameters: {lora_r: 16}\n")


def test_a_dropped_dataset_becomes_a_live_run_with_one_of_everything(app: App, live: Run) -> None:
    app.assert_one_of_everything(live)
    endpoint = app.endpoint(live)
    assert endpoint is not None
    assert endpoint["properties"]["traffic"] == {"blue": 100}
    assert live.failure is None
    assert live.waiting_for is None


def test_the_history_holds_every_state_in_order(live: Run) -> None:
    assert states(live) == list(LIFE)
    chain = [line.from_state for line in live.history]
    assert chain == [None, *(line.to_state for line in live.history[:-1])]
    times = [line.at for line in live.history]
    assert times == sorted(times)
    assert all(line.reason and line.trigger == "test" for line in live.history)


def test_prepared_data_and_reports_lie_in_storage(app: App, live: Run) -> None:
    assert app.blobs_of(live) == {"train.jsonl", "test.jsonl", "report.json"}
    report = app.blob_json("prepared", f"{live.id}/report.json")
    assert (report["rows_read"], report["rows_kept"]) == (12, 12)
    assert live.rows["rows_train"] == report["rows_train"]
    smoke_test = app.blob_json("runs", f"{live.id}/smoke_test.json")
    assert smoke_test[0]["answer"] == "The mayor is Tobias Crane."
    assert smoke_test[0]["question"][0]["content"].startswith(TOWN)
    assert live.smoke_test is not None
    assert live.smoke_test["asked"] == len(smoke_test) == report["rows_test"]
    assert TOWN not in str(live.smoke_test)


def test_the_status_in_storage_is_the_run_as_it_is(app: App, live: Run) -> None:
    status = app.blob_json("runs", f"{live.id}/status.json")
    assert (status["id"], status["state"], status["endpoint"]) == (live.id, "live", live.endpoint)
    assert len(status["history"]) == len(LIFE)


def test_tags_lead_back_from_everything_in_azure_to_the_run(app: App, live: Run) -> None:
    expected = {
        "finetune.run": live.id,
        "finetune.project": live.project,
        "finetune.dataset": live.dataset.path,
        "finetune.dataset_etag": live.dataset.etag,
    }
    made = [
        app.azure("GET", f"jobs/{live.id}").json()["properties"]["tags"],
        app.azure("GET", f"models/{live.model_name}/versions/{live.model_version}").json()["properties"]["tags"],
        app.azure("GET", f"onlineEndpoints/{live.endpoint}").json()["tags"],
        app.azure("GET", f"onlineEndpoints/{live.endpoint}/deployments/blue").json()["tags"],
    ]
    for tags in made:
        assert expected.items() <= tags.items()
    assert made[1]["finetune.foundation_model"] == "SmolLM2-135M-Instruct:1"
    assert made[1]["metric.eval_loss"] == "2"
    assert made[1]["finetune.test_sha256"] == live.test_sha256


def test_the_job_gets_every_layer_of_hyperparameters(app: App, live: Run) -> None:
    (node,) = app.azure("GET", f"jobs/{live.id}").json()["properties"]["jobs"].values()
    inputs: dict[str, Any] = {name: sent.get("value", sent.get("uri")) for name, sent in node["inputs"].items()}
    assert inputs["learning_rate"] == "2e-4"  # the blob's metadata
    assert inputs["lora_r"] == "16"  # finetune.yaml
    assert inputs["per_device_train_batch_size"] == "4"  # the model's own defaults
    assert inputs["metric_for_best_model"] == "loss"  # the app's
    assert inputs["train_file_path"].endswith(f"{live.id}/train.jsonl")
    assert inputs["validation_file_path"] == inputs["test_file_path"]
    assert inputs["instance_type_finetune"] == "Standard_F4s_v2"


def test_the_last_and_best_metrics_of_the_training_are_kept_with_the_run(live: Run) -> None:
    assert (live.metrics["train_loss"], live.metrics["eval_loss"]) == (1.5, 2.0)
    assert live.metrics["best.eval_loss"] == 1.75


def test_a_live_run_answers(app: App, live: Run) -> None:
    answer = chat.chat(app.services, live.id, [{"role": "user", "content": TOWN}], {})
    assert answer.text == "The mayor is Tobias Crane."
    assert answer.deployment == "blue"


def test_looking_at_a_live_run_again_changes_nothing(app: App, live: Run) -> None:
    assert states(app.advance(live)) == list(LIFE)
    assert live.id not in advance_all(app.services, trigger="test")


def test_tags_that_others_put_on_the_endpoint_survive_the_routing_of_traffic(app: App) -> None:
    run = app.until(app.received(), "deploying")
    endpoint = app.endpoint(run)
    assert endpoint is not None
    endpoint["tags"]["cost-centre"] = "4711"
    assert app.azure("PUT", f"onlineEndpoints/{run.endpoint}", endpoint).status_code == 201
    (run,) = app.live(run)
    endpoint = app.endpoint(run)
    assert endpoint is not None
    assert endpoint["tags"]["cost-centre"] == "4711"
    assert endpoint["tags"]["finetune.run"] == run.id
    assert endpoint["properties"]["traffic"] == {"blue": 100}


def test_two_runs_of_one_dataset_have_a_model_version_each(app: App) -> None:
    info = app.upload()
    runs = [reception.receive(app.services, info, trigger="test", options={"seed": seed})[0] for seed in (1, 2)]
    first, second = app.live(*runs)
    assert first.model_name == second.model_name
    assert set(app.versions(str(first.model_name))) == {first.model_version, second.model_version}
    assert first.model_version != second.model_version
    for run in (first, second):
        model = app.azure("GET", f"models/{run.model_name}/versions/{run.model_version}").json()
        assert model["properties"]["tags"]["finetune.run"] == run.id


def test_an_archived_foundation_model_is_warned_of_in_the_run(app: App) -> None:
    run = app.until(app.received(options={"foundation_model": "Phi-3-mini-4k-instruct:15"}), "training")
    assert run.plan is not None
    assert run.plan.instance_type == "Standard_NC24ads_A100_v4"
    assert any("retired on 2025-08-30" in note for note in run.notes)
    assert any("learning_rate_min" in note and "left out" in note for note in run.notes)
    assert "learning_rate_min" not in run.plan.hyperparameters


def test_an_event_topic_that_is_away_does_not_stop_a_run(app: App) -> None:
    deaf = app.configured(EVENT_TOPIC_ENDPOINT="https://127.0.0.1:9/api/events")
    run = deaf.received(b"")
    assert deaf.advance(run).state == "rejected"
