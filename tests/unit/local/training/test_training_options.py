from dataclasses import fields
from typing import Any

import pytest

from local.training.errors import UserInputError
from local.training.options import Options, parse_options


def test_inputs_that_are_not_hyperparameters_are_not_looked_at() -> None:
    assert parse_options({"train_file_path": "x", "compute_finetune": "gpu"}) == Options()


def test_values_arrive_typed() -> None:
    options = parse_options({"apply_lora": "True", "lora_r": "16", "learning_rate": "1e-3", "max_steps": "3.0"})
    assert (options.apply_lora, options.lora_r, options.learning_rate, options.max_steps) == (True, 16, 0.001, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "0"),
        ("learning_rate", "nan"),
        ("learning_rate", "inf"),
        ("max_steps", "0"),
        ("max_steps", "1.5"),
        ("num_train_epochs", "inf"),
        ("apply_lora", "yes"),
        ("lora_dropout", "1"),
        ("lr_scheduler_type", "magic"),
        ("task_name", "TextClassification"),
    ],
)
def test_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(UserInputError, match=f"{name} is '{value}', expected "):
        parse_options({name: value})


def test_all_faults_are_reported_together() -> None:
    with pytest.raises(UserInputError) as caught:
        parse_options({"seed": "x", "optim": "sgd", "eval_steps": "0"})
    assert all(name in str(caught.value) for name in ("seed", "optim", "eval_steps"))


def test_every_kind_of_option_can_be_read() -> None:
    defaults: dict[str, Any] = {field.name: str(field.default) for field in fields(Options)}
    assert parse_options(defaults) == Options()
