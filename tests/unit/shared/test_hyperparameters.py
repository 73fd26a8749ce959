import pytest

from shared.azureml.hyperparameters import InputSpec, resolve
from shared.errors import HyperparameterError

SPECS = {
    spec.name: spec
    for spec in [
        InputSpec("num_train_epochs", "integer", minimum=1),
        InputSpec("learning_rate", "number"),
        InputSpec("apply_lora", "string", enum=("true", "false")),
        InputSpec("deepspeed_stage", "string", enum=("2", "3")),
        InputSpec("precision", "string", enum=("32", "16")),
        InputSpec("lora_dropout", "number", minimum=0, maximum=1),
        InputSpec("mlflow_model_path", "mlflow_model"),
    ]
}


def test_own_defaults_then_the_models_then_what_was_chosen() -> None:
    values, notes = resolve(SPECS, {"learning_rate": 1e-5, "deepspeed_stage": 3}, {"learning_rate": "1e-4"})
    assert values == {
        "num_train_epochs": "3",
        "learning_rate": "1e-4",
        "apply_lora": "true",
        "deepspeed_stage": "3",
        "precision": "16",
    }
    assert notes == []


def test_booleans_and_numbers_become_the_components_texts() -> None:
    values, _ = resolve(SPECS, {}, {"apply_lora": False, "precision": 32})
    assert (values["apply_lora"], values["precision"]) == ("false", "32")


def test_a_models_default_that_the_component_refuses_is_dropped_with_a_note() -> None:
    values, notes = resolve(SPECS, {"learning_rate_min": 5e-7}, {})
    assert "learning_rate_min" not in values
    assert notes == [
        "The catalog's default learning_rate_min=5e-07 was left out: learning_rate_min is not an input of the component"
    ]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"epochs": 3}, "epochs is not an input"),
        ({"num_train_epochs": 0}, "expected 1 or more"),
        ({"num_train_epochs": 1.5}, "expected a whole number"),
        ({"num_train_epochs": "x"}, "expected a whole number"),
        ({"learning_rate": "fast"}, "expected a number"),
        ({"learning_rate": "nan"}, "expected a number"),
        ({"learning_rate": "inf"}, "expected a number"),
        ({"lora_dropout": 2}, "expected 1 or less"),
        ({"deepspeed_stage": 4}, "expected one of 2, 3"),
        ({"mlflow_model_path": "x"}, "set by the app itself"),
    ],
)
def test_what_a_person_chose_wrongly_is_refused(chosen: dict[str, object], said: str) -> None:
    with pytest.raises(HyperparameterError, match=said):
        resolve(SPECS, {}, chosen)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(HyperparameterError) as caught:
        resolve(SPECS, {}, {"epochs": 1, "precision": 8})
    assert "epochs" in str(caught.value)
    assert "precision" in str(caught.value)


def test_a_whole_number_is_written_as_the_component_reads_it() -> None:
    assert resolve(SPECS, {"num_train_epochs": 2.0}, {})[0]["num_train_epochs"] == "2"
