import json
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import CUSTOM_CLOUD_KEYS, Settings, declared, parse_duration

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = {
    "AZURE_SUBSCRIPTION_ID": "s",
    "AZURE_RESOURCE_GROUP": "g",
    "AZUREML_WORKSPACE_NAME": "w",
    "DATASET_STORAGE": "UseDevelopmentStorage=true",
    "ADVANCE_SCHEDULE": "0 * * * * *",
    "SWEEP_SCHEDULE": "0 */15 * * * *",
}


def test_minimal_environment_gives_defaults(tmp_path: Path) -> None:
    settings = Settings.load(MINIMAL, config_dir=tmp_path)
    assert settings.foundation_model == "Phi-4"
    assert settings.idle_after == timedelta(hours=8)
    assert settings.cloud.resource_manager == "https://management.azure.com/"


def test_all_faults_are_reported_together_each_with_its_variable_and_form(tmp_path: Path) -> None:
    bad = {
        "IDLE_AFTER": "soon",
        "SMOKE_TESTS": "0",
        "HYPERPARAMETERS": "[1]",
        "TEST_FRACTION": "0.9",
        "AZURE_CLOUD": "Mars",
        "SWEEP_SCHEDULE": "now",
        "EVENT_TOPIC_ENDPOINT": "http://x",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.load(bad, config_dir=tmp_path)
    text = str(caught.value)
    missing = (
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_RESOURCE_GROUP",
        "AZUREML_WORKSPACE_NAME",
        "DATASET_STORAGE",
        "ADVANCE_SCHEDULE",
    )
    assert len(caught.value.faults) == len(bad) + len(missing)
    for variable in (*bad, *missing):
        assert variable in text
    assert "45s, 15m, 8h" in text


def test_storage_may_be_an_identity_instead_of_a_secret(tmp_path: Path) -> None:
    env = {k: v for k, v in MINIMAL.items() if k != "DATASET_STORAGE"} | {
        "DATASET_STORAGE__blobServiceUri": "https://a.blob.core.windows.net",
        "DATASET_STORAGE__queueServiceUri": "https://a.queue.core.windows.net",
        "DATASET_STORAGE__tableServiceUri": "https://a.table.core.windows.net",
    }
    assert Settings.load(env, config_dir=tmp_path).storage.blob_url == "https://a.blob.core.windows.net"
    del env["DATASET_STORAGE__queueServiceUri"]
    with pytest.raises(SettingsError, match="DATASET_STORAGE__queueServiceUri"):
        Settings.load(env, config_dir=tmp_path)


def test_an_empty_url_beside_a_connection_string_is_refused_because_the_trigger_would_take_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="leave one of the two ways out"):
        Settings.load(MINIMAL | {"DATASET_STORAGE__blobServiceUri": ""}, config_dir=tmp_path)


def test_secrets_never_show_in_a_repr(tmp_path: Path) -> None:
    settings = Settings.load(MINIMAL | {"DATASET_STORAGE": "AccountKey=hush"}, config_dir=tmp_path)
    assert "hush" not in repr(settings)


def test_workspace_may_come_from_config_json(tmp_path: Path) -> None:
    config = {"subscription_id": "1", "resource_group": "2", "workspace_name": "3"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    own = {k: v for k, v in MINIMAL.items() if not k.startswith("AZURE")} | {"AZURE_RESOURCE_GROUP": "mine"}
    settings = Settings.load(own, config_dir=tmp_path)
    assert (settings.subscription_id, settings.resource_group, settings.workspace_name) == ("1", "mine", "3")


def test_custom_cloud_is_read_from_json(tmp_path: Path) -> None:
    cloud = {"name": "Here", **{key: f"https://{key}/" for key in CUSTOM_CLOUD_KEYS}}
    settings = Settings.load(MINIMAL | {"AZURE_CLOUD": json.dumps(cloud)}, config_dir=tmp_path)
    assert settings.cloud.name == "Here"
    assert settings.cloud.resource_manager == "https://resource_manager/"
    assert settings.cloud.metrics is None


def test_a_cloud_says_where_the_metrics_batch_api_is(tmp_path: Path) -> None:
    cloud = {"name": "Here", **{key: f"https://{key}/" for key in CUSTOM_CLOUD_KEYS}}

    def metrics(text: str) -> str | None:
        return Settings.load(MINIMAL | {"AZURE_CLOUD": text}, config_dir=tmp_path).cloud.metrics

    assert metrics("AzureUSGovernment") == "https://{region}.metrics.monitor.azure.us"
    assert metrics(json.dumps(cloud | {"metrics": "https://{region}.m.here"})) == "https://{region}.m.here"
    with pytest.raises(SettingsError, match=r"metrics, if it is there, is an https:// URL"):
        metrics(json.dumps(cloud | {"metrics": "metrics.here"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", timedelta(seconds=45)),
        ("1h30m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2 m", timedelta(minutes=2)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "8", "h", "8h!", "-1h", "1.5h", "8 hours later"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_sample_file_names_every_setting_with_its_default() -> None:
    values = json.loads((ROOT / "local.settings.json.sample").read_text())["Values"]
    hosts_own = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    with_an_identity = {variable for variable, _, _ in declared() if variable.startswith("DATASET_STORAGE__")}
    assert set(values) == {variable for variable, _, _ in declared()} - with_an_identity | hosts_own
    for variable, default, _ in declared():
        if default is not None:
            assert values[variable] == default, variable


def test_readme_names_every_setting() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for variable, default, _ in declared():
        assert f"`{variable}`" in readme, variable
        if default:
            assert f"`{default}`" in readme, f"{variable}: default {default}"
