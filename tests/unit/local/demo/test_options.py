from local.demo.options import TRAINING_S, effort_for, finetune_yaml
from local.demo.preview import Preview
from local.demo.questions import SAMPLES
from shared.runs.options import parse_finetune_yaml


def test_short_rows_get_many_steps_and_long_ones_few() -> None:
    short, long = effort_for(Preview(40, 25)), effort_for(Preview(40, 1000))
    assert short.max_steps == 60
    assert 16 <= long.max_steps < 30
    assert long.max_steps * 4 * 256 * 0.0052 <= TRAINING_S


def test_few_rows_are_held_out_of_a_large_file_and_some_of_a_small_one() -> None:
    assert effort_for(Preview(8000, 25)).test_fraction == 0.002
    assert effort_for(Preview(10, 25)).test_fraction == 0.2
    assert effort_for(Preview(0, 0)).max_steps == 60


def test_the_options_are_ones_that_the_app_takes() -> None:
    effort = effort_for(Preview(40, 1000))
    options = parse_finetune_yaml(finetune_yaml(SAMPLES / "finetune.yaml", effort), "finetune.yaml")
    assert options["hyperparameters"]["max_steps"] == effort.max_steps
    assert options["foundation_model"] == "SmolLM2-135M-Instruct"
