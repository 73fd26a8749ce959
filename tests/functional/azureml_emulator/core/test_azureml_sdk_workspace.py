"""The real SDK against the emulator: workspace, registry, storage, assets, computes."""

import ast
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import AmlCompute, Data, Model
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from local import names
from local.azureml.server import Emulator


def test_the_workspace_is_found_and_leads_to_the_emulator(client: MLClient, emulator: Emulator) -> None:
    workspace = client.workspaces.get(names.WORKSPACE)
    assert workspace.location == "eastus"
    assert workspace.discovery_url == f"{emulator.services.config.base_url}/discovery"
    assert workspace.mlflow_tracking_uri.startswith(f"azureml://127.0.0.1:{emulator.services.config.port}/mlflow/")


def test_the_registry_gives_the_latest_model_with_its_defaults(registry: MLClient) -> None:
    model = registry.models.get("Phi-4", label="latest")
    assert model.id == "azureml://registries/azureml/models/Phi-4/versions/8"
    defaults = ast.literal_eval(model.tags["model_specific_defaults"])
    assert defaults["deepspeed_stage"] == 3
    assert "Standard_NC24ads_A100_v4" in model.properties["finetune-recommended-sku"].split(", ")


def test_the_small_model_names_its_computes_in_the_older_tags(registry: MLClient) -> None:
    model = registry.models.get("SmolLM2-135M-Instruct", version="1")
    assert "Standard_F4s_v2" in ast.literal_eval(model.tags["finetune_compute_allow_list"])
    assert "Standard_F4s_v2" in ast.literal_eval(model.tags["inference_compute_allow_list"])


def test_an_unknown_registry_model_is_not_found(registry: MLClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="azureml://registries/azureml/models/Phi-9/versions/1"):
        registry.models.get("Phi-9", version="1")


def test_the_component_has_every_input_with_its_type_and_default(registry: MLClient) -> None:
    component = registry.components.get("chat_completion_pipeline", label="latest")
    assert component.version == "0.0.82"
    assert len(component.inputs) == 69
    stage = component.inputs["deepspeed_stage"]
    assert (stage["type"], stage["default"], stage["enum"]) == ("string", "2", ["2", "3"])
    assert component.inputs["learning_rate"]["default"] == 2e-05
    assert component.inputs["task_name"]["optional"] is not True
    assert set(component.outputs) == {"pytorch_model_folder", "mlflow_model_folder"}


def test_a_local_file_is_uploaded_and_registered_as_data(client: MLClient, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"messages": []}\n')
    data = client.data.create_or_update(Data(name="chat", version="1", type=AssetTypes.URI_FILE, path=str(file)))
    assert data.path.startswith(f"{names.WORKSPACE_URI}/datastores/workspaceblobstore/paths/LocalUpload/")
    assert client.data.get("chat", label="latest").version == "1"


def test_datastores_lead_to_the_storage(client: MLClient) -> None:
    assert client.datastores.get_default().name == "workspaceblobstore"
    assert client.datastores.get(names.PREPARED_DATASTORE).container_name == "prepared"
    with pytest.raises(ResourceNotFoundError):
        client.datastores.get("nowhere")


def test_a_local_model_gets_versions_and_a_container(client: MLClient, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("hello")
    for version in ("1", "2"):
        client.models.create_or_update(
            Model(
                name="greeter", version=version, path=str(tmp_path), type=AssetTypes.MLFLOW_MODEL, tags={"v": version}
            )
        )
    assert client.models.get("greeter", label="latest").version == "2"
    assert [model.version for model in client.models.list("greeter")] == ["2", "1"]
    assert client.models.get("greeter", version="1").tags == {"v": "1"}
    automatic = client.models.create_or_update(Model(name="greeter", path=str(tmp_path), type="mlflow_model"))
    assert automatic.version == "3"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # azure-ai-ml uses old names of azure-storage-blob
def test_an_uploaded_model_can_be_downloaded_again(client: MLClient, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "weights.bin").write_bytes(bytes(range(256)) * 40_000)
    client.models.create_or_update(Model(name="loop", version="1", path=str(source), type="mlflow_model"))
    client.models.download("loop", "1", download_path=str(tmp_path / "back"))
    (found,) = (tmp_path / "back").rglob("weights.bin")
    assert found.read_bytes() == (source / "weights.bin").read_bytes()


def test_a_model_version_put_again_is_the_same_one(client: MLClient, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("hello")
    model = Model(name="twice", version="1", path=str(tmp_path), type=AssetTypes.MLFLOW_MODEL)
    first = client.models.create_or_update(model)
    second = client.models.create_or_update(model)
    assert second.id == first.id
    assert len(list(client.models.list("twice"))) == 1


def test_a_version_cannot_get_another_content(client: MLClient) -> None:
    place = f"azureml://datastores/{names.PREPARED_DATASTORE}/paths"
    client.data.create_or_update(Data(name="fixed", version="1", type="uri_file", path=f"{place}/a.jsonl"))
    with pytest.raises((ResourceExistsError, HttpResponseError), match="already exists"):
        client.data.create_or_update(Data(name="fixed", version="1", type="uri_file", path=f"{place}/b.jsonl"))


def test_a_model_of_an_unknown_job_is_refused(client: MLClient) -> None:
    model = Model(name="orphan", version="1", path="azureml://jobs/nojob/outputs/trained_model", type="mlflow_model")
    with pytest.raises(HttpResponseError, match="trained_model of job nojob"):
        client.models.create_or_update(model)


def test_an_archived_version_leaves_the_list_of_active_ones(client: MLClient, tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text("old")
    client.models.create_or_update(Model(name="retired", version="1", path=str(tmp_path), type="mlflow_model"))
    client.models.archive("retired", version="1")
    assert list(client.models.list("retired")) == []
    client.models.restore("retired", version="1")
    assert [model.version for model in client.models.list("retired")] == ["1"]


def test_a_cluster_is_created_listed_and_deleted(client: MLClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        client.compute.get("gpu-cluster")
    wanted = AmlCompute(name="gpu-cluster", size="Standard_NC24ads_A100_v4", max_instances=2, tier="low_priority")
    made = client.compute.begin_create_or_update(wanted).result()
    assert (made.provisioning_state, made.size, made.tier) == ("Succeeded", "STANDARD_NC24ADS_A100_V4", "low_priority")
    assert [compute.name for compute in client.compute.list()] == ["gpu-cluster"]
    client.compute.begin_delete("gpu-cluster").result()
    assert list(client.compute.list()) == []


def test_a_size_that_is_not_offered_is_refused(client: MLClient) -> None:
    with pytest.raises(HttpResponseError, match="Standard_X1 is not supported"):
        client.compute.begin_create_or_update(AmlCompute(name="odd", size="Standard_X1")).result()


def test_sizes_tell_their_gpus_and_what_they_can_do(client: MLClient) -> None:
    sizes = {size.name: size for size in client.compute.list_sizes()}
    assert sizes["Standard_ND96asr_v4"].gpus == 8
    # The SDK copies the wire's names into the object, and leaves its own supported_compute_types empty.
    assert "MIR" in vars(sizes["Standard_F4s_v2"])["supportedComputeTypes"]
    assert "MIR" not in vars(sizes["Standard_NC6"])["supportedComputeTypes"]
