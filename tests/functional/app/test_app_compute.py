"""Where a run trains and serves: clusters that exist, are made, are refused or have failed; sizes that cannot be."""

from collections.abc import Sequence

import pytest
from azure.ai.ml.entities import AmlCompute

from shared.azureml.compute import choose_serving_sizes, choose_training_compute
from shared.errors import ComputeError, TransientError
from shared.runs import actions
from shared.runs.record import Run
from tests.functional.app.driving import App


def make_cluster(app: App, name: str, size: str) -> None:
    cluster = AmlCompute(name=name, size=size, min_instances=0, max_instances=1)
    app.services.azureml.workspace.compute.begin_create_or_update(cluster).wait()


def job_inputs(app: App, run: Run) -> dict[str, str]:
    (node,) = app.azure("GET", f"jobs/{run.id}").json()["properties"]["jobs"].values()
    return {name: str(sent.get("value")) for name, sent in node["inputs"].items()}


def test_a_cluster_that_does_not_exist_is_made_and_trained_on(app: App) -> None:
    clustered = app.configured(TRAINING_COMPUTE="gpu-new")
    run = clustered.advance(clustered.received())
    assert (run.state, run.attempts) == ("prepared", 1)
    assert run.next_attempt_at is not None
    assert run.waiting_for == "cluster gpu-new (Standard_F4s_v2) is being made"
    app.assert_nothing_submitted(run)
    run = clustered.until(run, "training")
    made = app.azure("GET", "computes/gpu-new").json()["properties"]["properties"]
    assert made["vmSize"] == "STANDARD_F4S_V2"
    assert made["vmPriority"] == "Dedicated"
    assert (made["scaleSettings"]["minNodeCount"], made["scaleSettings"]["maxNodeCount"]) == (0, 1)
    inputs = job_inputs(app, run)
    assert inputs["compute_finetune"] == inputs["compute_model_import"] == "gpu-new"
    assert "instance_type_finetune" not in inputs
    actions.cancel(app.services, run.id)


def test_a_cluster_that_exists_is_used_as_it_is(app: App) -> None:
    make_cluster(app, "gpu-old", "Standard_E4s_v3")
    run = app.until(app.received(options={"compute": {"name": "gpu-old"}}), "training")
    assert run.plan is not None
    assert (run.plan.compute, run.plan.instance_type) == ("gpu-old", "Standard_E4s_v3")
    actions.cancel(app.services, run.id)


def test_low_priority_nodes_are_taken_when_dedicated_ones_are_refused(app: App) -> None:
    app.cloud.faults(compute={"vmPriority": "Dedicated", "message": "There is not enough quota."})
    run = app.until(app.received(options={"compute": {"name": "gpu-cheap"}}), "training")
    made = app.azure("GET", "computes/gpu-cheap").json()["properties"]["properties"]
    assert made["vmPriority"] == "LowPriority"
    assert run.plan is not None
    assert run.plan.low_priority
    actions.cancel(app.services, run.id)


def test_a_cluster_that_is_refused_altogether_fails_the_run_with_azures_words(app: App) -> None:
    app.cloud.faults(compute={"message": "Not enough quota for 4 cores of standardFSv2Family."})
    run = app.advance(app.received(options={"compute": {"name": "gpu-none"}}))
    assert run.failure is not None
    assert (run.state, run.failure.reason, run.failure.retry_helps) == ("failed", "quota", True)
    assert "Not enough quota for 4 cores" in run.failure.message
    app.assert_nothing_submitted(run)


def test_a_cluster_whose_provisioning_failed_fails_the_run(app: App) -> None:
    app.cloud.faults(compute={"provisioning": "The subnet is full."})
    run = app.until(app.received(options={"compute": {"name": "gpu-broken"}}), "failed")
    assert run.failure is not None
    assert run.failure.reason == "compute_failed"
    assert "gpu-broken has failed" in run.failure.message
    app.assert_nothing_submitted(run)


def test_a_cluster_that_is_being_deleted_is_waited_for_and_made_anew(app: App) -> None:
    make_cluster(app, "gpu-going", "Standard_F4s_v2")
    app.cloud.store("compute", "gpu-going", delete_ends="2999-01-01T00:00:00+00:00")
    run = app.advance(app.received(options={"compute": {"name": "gpu-going"}}))
    assert (run.state, run.waiting_for) == ("prepared", "cluster gpu-going is deleting")
    app.assert_nothing_submitted(run)
    app.cloud.store("compute", "gpu-going", delete_ends="2001-01-01T00:00:00+00:00")
    run = app.until(run, "training")
    actions.cancel(app.services, run.id)


def test_a_cluster_of_a_size_that_the_model_may_not_use_fails_the_run(app: App) -> None:
    make_cluster(app, "gpu-k80", "Standard_NC6")
    run = app.advance(app.received(options={"compute": {"name": "gpu-k80"}}))
    assert run.failure is not None
    assert run.failure.reason == "compute_size_not_allowed"
    assert "STANDARD_NC6 of gpu-k80" in run.failure.message


@pytest.mark.parametrize(
    ("name", "size", "allowed", "reason", "message"),
    [
        ("serverless", "Standard_NC6", None, "compute_size_unsupported", "K80"),
        ("gpu-k80", "", None, "compute_size_unsupported", "K80"),
        ("serverless", "Standard_Z9", None, "compute_size_unknown", "Offered with a GPU: Standard_NC12s_v3"),
        ("serverless", "Standard_Z9", ["standard_z9"], "compute_size_unknown", "not offered in the workspace's region"),
        ("serverless", "", ["Standard_Z9"], "compute_size_unknown", "None of the VM sizes"),
        ("serverless", "", None, "compute_size_unknown", "Set TRAINING_INSTANCE_TYPE"),
    ],
)
def test_a_size_that_cannot_train_is_refused(
    app: App, name: str, size: str, allowed: Sequence[str] | None, reason: str, message: str
) -> None:
    if name == "gpu-k80":
        make_cluster(app, "gpu-k80", "Standard_NC6")
    with pytest.raises(ComputeError) as refused:
        choose_training_compute(app.services.azureml, name=name, wanted_size=size, allowed_sizes=allowed)
    assert refused.value.reason == reason
    assert message in str(refused.value)


def test_a_size_that_is_no_endpoints_size_cannot_serve(app: App) -> None:
    with pytest.raises(ComputeError, match="not offered for online endpoints") as refused:
        choose_serving_sizes(app.services.azureml, wanted_sizes=["Standard_D12_v2"], allowed_sizes=None)
    assert refused.value.reason == "compute_size_unknown"


def test_of_the_sizes_that_a_model_may_serve_on_the_smallest_is_taken_without_a_wish(app: App) -> None:
    allowed = ["Standard_NC48ads_A100_v4", "Standard_E4s_v3", "Standard_D12_v2", "Standard_F4s_v2"]
    assert choose_serving_sizes(app.services.azureml, wanted_sizes=[], allowed_sizes=allowed) == ["Standard_F4s_v2"]


def test_of_the_sizes_wished_for_those_that_will_do_are_tried_in_their_order(app: App) -> None:
    azureml = app.services.azureml
    wanted, allowed = ["Standard_X", "standard_e4s_V3", "Standard_DS3_v2"], ["Standard_DS3_v2", "Standard_E4s_v3"]
    assert choose_serving_sizes(azureml, wanted_sizes=wanted, allowed_sizes=allowed) == [
        "Standard_E4s_v3",
        "Standard_DS3_v2",
    ]
    with pytest.raises(ComputeError, match="Standard_X or Standard_Y cannot serve this model") as refused:
        choose_serving_sizes(azureml, wanted_sizes=["Standard_X", "Standard_Y"], allowed_sizes=allowed)
    assert refused.value.reason == "compute_size_not_allowed"


def test_sizes_are_found_whatever_their_case_and_their_gpus_are_counted(app: App) -> None:
    azureml = app.services.azureml
    chosen = choose_training_compute(
        azureml, name="serverless", wanted_size="standard_nc48ads_a100_V4", allowed_sizes=None
    )
    assert (chosen.instance_type, chosen.gpus_per_node) == ("Standard_NC48ads_A100_v4", 2)
    allowed = ["STANDARD_F4S_V2"]
    assert choose_serving_sizes(azureml, wanted_sizes=[], allowed_sizes=allowed) == ["Standard_F4s_v2"]
    with pytest.raises(TransientError, match="is being made"):
        choose_training_compute(azureml, name="gpu-case", wanted_size="standard_f4S_v2", allowed_sizes=allowed)
