from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import OptionsError
from shared.runs.options import checked, effective, merge, parse_finetune_yaml, parse_metadata
from shared.settings import Settings

SETTINGS = Settings.load(
    {
        "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_RESOURCE_GROUP": "g",
        "AZUREML_WORKSPACE_NAME": "w",
        "DATASET_STORAGE": "x",
        "ADVANCE_SCHEDULE": "0 * * * * *",
        "SWEEP_SCHEDULE": "0 */15 * * * *",
        "HYPERPARAMETERS": '{"num_train_epochs": 1, "lora_r": 4}',
        "SERVING_INSTANCE_TYPE": "Standard_A",
    }
)


def test_later_layers_win_and_nested_ones_are_merged() -> None:
    yaml = parse_finetune_yaml(b"foundation_model: A\nhyperparameters: {lora_r: 8, seed: 1}", "finetune.yaml")
    metadata = parse_metadata({"finetune_lora_r": "16", "Finetune_Keep": "true", "author": "somebody"})
    body = checked({"hyperparameters": {"seed": 2}, "deploy": {"smoke_tests": 1}}, "body")
    options = effective(merge([yaml, metadata, body]), SETTINGS)
    assert options.foundation_model == "A"
    assert options.hyperparameters == {"num_train_epochs": 1, "lora_r": "16", "seed": 2}
    assert (options.smoke_tests, options.keep, options.serving_instance_types) == (1, True, ["Standard_A"])


def test_nothing_chosen_means_settings() -> None:
    options = effective({}, SETTINGS)
    assert (options.foundation_model, options.test_fraction) == ("Phi-4", 0.05)
    assert options.idle_after == timedelta(hours=8)


def test_empty_yaml_chooses_nothing() -> None:
    assert parse_finetune_yaml(b"# only a remark\n", "finetune.yaml") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"learning_rate: 1", "unknown option `learning_rate`"),
        (b"a: [", "line 1: not valid YAML"),
        (b"- 1", "expected options such as"),
        (b"sample_percent: 0", "above 0 and up to 100"),
        (b"test_fraction: 0.6", "up to 0.5"),
        (b"idle_after: tomorrow", "a duration such as"),
        (b"deploy: {instance_count: 0}", "deploy.instance_count is 0, expected 1 or more"),
        (b"deploy: {colour: green}", "`deploy`"),
        (b"hyperparameters: {lora_r: [1]}", "hyperparameters"),
        (b"\xff\xff", "not valid YAML"),
        (b"a: 2026-13-45", "not valid YAML"),
        (b"!!int x", "not valid YAML"),
        (b"!!timestamp x", "not valid YAML"),
        (b"[" * 5000, "not valid YAML"),
        (b"#" * 70_000, "too many for options"),
        (b"hyperparameters: {max_grad_norm: .inf}", "expected a finite number"),
        (b"!!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_bad_yaml_is_refused_with_its_name_and_fault(text: bytes, said: str) -> None:
    with pytest.raises(OptionsError) as caught:
        parse_finetune_yaml(text, "datasets/bot/finetune.yaml")
    assert str(caught.value).startswith("datasets/bot/finetune.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["2026-12-31T18:00+01:00", "2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00Z"])
def test_an_expiry_is_read_in_any_form_that_yaml_has_for_a_date(text: str) -> None:
    options = effective(parse_finetune_yaml(f"expires_at: {text}".encode(), "finetune.yaml"), SETTINGS)
    assert options.expires_at == datetime(2026, 12, 31, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    "line", ["expires_at: 2026-12-31", "idle_action: destroy", "idle_warn_for: a while", "idle_after: 0s"]
)
def test_idle_options_of_another_form_are_refused(line: str) -> None:
    with pytest.raises(OptionsError, match=line.partition(":")[0]):
        parse_finetune_yaml(line.encode(), "finetune.yaml")
