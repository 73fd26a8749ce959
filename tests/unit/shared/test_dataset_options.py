import pytest

from shared.errors import OptionsError
from shared.runs.dataset_options import DatasetOptions, check_merged
from shared.runs.options import checked, effective, merge, parse_finetune_yaml, parse_metadata
from shared.runs.preparation import prepare_options
from tests.unit.shared.test_options import SETTINGS


def test_the_section_says_how_the_dataset_is_prepared() -> None:
    yaml = parse_finetune_yaml(
        b"dataset:\n  columns: {user: question, assistant: reply}\n  drop: [secrets]\n  context_window: 4096\n",
        "finetune.yaml",
    )
    options = prepare_options(effective(yaml, SETTINGS), "/tmp/tokenizer.json")
    assert options.columns == {"user": "question", "assistant": "reply"}
    assert (options.drop, options.context_window, options.layout) == (["secrets"], 4096, None)
    assert options.tokenizer == "/tmp/tokenizer.json"


def test_without_the_section_a_dataset_is_prepared_as_before() -> None:
    assert effective({}, SETTINGS).dataset == DatasetOptions()
    options = prepare_options(effective({}, SETTINGS))
    assert (options.layout, options.columns, options.drop, options.context_window) == (None, {}, [], None)
    assert checked({"dataset": {}}, "body") == {}


@pytest.mark.parametrize(
    ("hyperparameters", "own", "tokens"),
    [
        ({"max_seq_length": 512}, None, 512),
        ({"max_seq_length": "512"}, 2048, 2048),
        ({"max_seq_length": -1}, None, None),
    ],
)
def test_the_context_window_is_that_of_the_training_unless_said_otherwise(
    hyperparameters: dict[str, int | str], own: int | None, tokens: int | None
) -> None:
    section = {} if own is None else {"dataset": {"context_window": own}}
    options = effective({"hyperparameters": hyperparameters, **section}, SETTINGS)
    assert options.dataset.context_window == tokens


def test_metadata_can_say_what_one_file_is_like() -> None:
    metadata = {
        "Finetune_Dataset_Layout": "alpaca",
        "finetune_dataset_column_user": "question",
        "finetune_dataset_drop": "secrets,email_addresses",
        "finetune_dataset_context_window": "2048",
        "finetune_lora_r": "8",
    }
    assert parse_metadata(metadata) == {
        "dataset": {
            "layout": "alpaca",
            "columns": {"user": "question"},
            "drop": ["secrets", "email_addresses"],
            "context_window": 2048,
        },
        "hyperparameters": {"lora_r": "8"},
    }


def test_a_later_layer_takes_a_choice_back() -> None:
    below, above = checked({"dataset": {"drop": ["secrets"]}}, "yaml"), checked({"dataset": {"drop": []}}, "body")
    merged = merge([below, above])
    assert prepare_options(effective(merged, SETTINGS)).drop == []


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("layout: shargpt", "layout is 'shargpt', expected one of"),
        ("drop: [phone_numbers]", "phone_numbers"),
        ("context_window: 0", "context_window is 0"),
        ("context_window: long", "dataset.context_window"),
        ("colums: {user: q}", "unknown option `colums`"),
        ("test: ../other/test.jsonl", "dataset.test is '../other/test.jsonl', expected a pattern of file names"),
        ("tokenizer: models/tokenizer.json", "expected the name of a file in the dataset's own folder"),
        ("test: ''", "dataset.test is ''"),
        ("{train: '*.jsonl', test: '*.jsonl'}", "nothing would be left to train on"),
        ("columns: [question, answer]", "dataset.columns"),
    ],
)
def test_wrong_values_are_refused_with_the_file_and_what_is_expected(section: str, said: str) -> None:
    text = f"dataset:\n  {section}\n".encode()
    with pytest.raises(OptionsError) as caught:
        parse_finetune_yaml(text, "datasets/bot/finetune.yaml")
    assert str(caught.value).startswith("datasets/bot/finetune.yaml")
    assert said in str(caught.value)


def test_patterns_are_not_taken_from_one_files_metadata() -> None:
    with pytest.raises(OptionsError, match="finetune_dataset_test is not known, expected one of layout"):
        parse_metadata({"finetune_dataset_test": "test.jsonl"})


def test_columns_that_make_no_layout_are_refused_and_the_layers_that_said_so_are_named() -> None:
    layers = [("finetune.yaml", {"seed": 1}), ("options", {"dataset": {"columns": {"answr": "a"}}})]
    with pytest.raises(OptionsError, match=r"^options: dataset: .*answr"):
        check_merged(merge(layer for _, layer in layers), layers)
