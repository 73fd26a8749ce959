from datetime import UTC, datetime, timedelta

import pytest

from shared.runs.dataset_options import DatasetOptions
from shared.runs.pairs import Role, choose_test, is_test_name, is_training_name, part_of, role_of
from shared.storage import BlobInfo

BEGAN = datetime(2026, 11, 24, tzinfo=UTC)
NOTHING = DatasetOptions()
BOTH = DatasetOptions(train="a*.jsonl", test="gold*.jsonl")


def folder(*files: str) -> list[BlobInfo]:
    """Blobs of one folder, each uploaded a minute after the one before."""
    return [
        BlobInfo("datasets", f"bot/{file}", f"0x{i}", BEGAN + timedelta(minutes=i), 10, {})
        for i, file in enumerate(files)
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train.jsonl", "test.jsonl"),
        ("train.jsonl.gz", "validation.json"),
        ("Train-2026.csv", "eval_2026.csv"),
        ("train_sft.parquet", "test_sft.parquet"),
        ("ultrachat_200k_train_sft.jsonl", "ultrachat_200k_test_sft.jsonl"),
        ("train-00000-of-00003-a1b2c3d4e5f6.parquet", "test-00000-of-00001-0123456789ab.parquet"),
        ("support.train.jsonl", "support.dev.jsonl"),
        ("trainset7.jsonl.zst", "testset7.jsonl.zst"),
    ],
)
def test_a_training_and_a_test_file_of_the_same_name_belong_together(train: str, test: str) -> None:
    assert (is_training_name(train), is_test_name(test)) == (True, True)
    (own, other) = (part_of(train), part_of(test))
    assert own is not None
    assert other is not None
    assert own[1] == other[1]
    found = choose_test(train, folder(test, "unrelated.jsonl"), NOTHING)
    assert found is not None
    assert found.name == f"bot/{test}"


@pytest.mark.parametrize("file", ["a.jsonl", "device-manuals.jsonl", "testimonials.csv", "trainers.jsonl", "2026.json"])
def test_words_that_only_begin_like_one_make_no_pair(file: str) -> None:
    assert part_of(file) is None
    assert role_of(file, ["train.jsonl"], NOTHING) == Role.DATASET


def test_a_test_file_is_one_only_beside_a_training_file() -> None:
    assert role_of("test.jsonl", [], NOTHING) == Role.PERHAPS_TEST
    assert role_of("test.jsonl", ["a.jsonl", "validation.jsonl"], NOTHING) == Role.PERHAPS_TEST
    assert role_of("test.jsonl", ["train_other.csv"], NOTHING) == Role.TEST


def test_what_is_announced_decides_and_a_test_file_comes_first() -> None:
    assert role_of("gold-1.jsonl", [], BOTH) == Role.TEST
    assert role_of("a-1.jsonl", [], BOTH) == Role.TRAINING
    assert role_of("other.jsonl", ["a-1.jsonl"], BOTH) == Role.DATASET
    assert role_of("train.jsonl", ["a-1.jsonl"], BOTH) == Role.DATASET
    assert role_of("validation.jsonl", ["a-1.jsonl"], BOTH) == Role.TEST
    all_others = DatasetOptions(train="*.jsonl", test="test*.jsonl")
    assert role_of("test-2.jsonl", [], all_others) == Role.TEST
    assert role_of("anything.jsonl", [], all_others) == Role.TRAINING


def test_with_only_a_test_file_announced_every_other_file_is_trained_on() -> None:
    announced = DatasetOptions(test="gold.jsonl")
    assert role_of("2026.jsonl", [], announced) == Role.TRAINING
    assert role_of("eval.jsonl", ["2026.jsonl"], announced) == Role.TEST
    assert role_of("gold.jsonl", [], announced) == Role.TEST


def test_a_tokenizer_that_is_named_is_no_dataset() -> None:
    assert role_of("words.json", [], DatasetOptions(tokenizer="words.json")) == Role.TOKENIZER


def test_of_several_announced_test_files_the_newest_is_taken() -> None:
    found = choose_test("a.jsonl", folder("gold-9.jsonl", "gold-1.jsonl", "test.jsonl"), BOTH)
    assert found is not None
    assert found.name == "bot/gold-1.jsonl"
    assert choose_test("a.jsonl", folder("test.jsonl"), BOTH) is None


@pytest.mark.parametrize(
    ("file", "others", "chosen"),
    [
        ("train.jsonl", ["dev.jsonl", "validation.jsonl", "test.jsonl", "valid.jsonl"], "test.jsonl"),
        ("train.jsonl", ["test.jsonl", "test.csv"], "test.csv"),
        ("train_sft.jsonl", ["test_gen.jsonl", "test_sft.jsonl", "train_gen.jsonl"], "test_sft.jsonl"),
        ("train_sft.jsonl", ["test_gen.jsonl"], None),
        ("train_a.jsonl", ["test.jsonl"], "test.jsonl"),
        ("train_a.jsonl", ["test.jsonl", "train.jsonl"], None),
        ("train.jsonl", ["test_2026.jsonl"], "test_2026.jsonl"),
        ("train.jsonl", ["test_a.jsonl", "train_a.jsonl"], None),
        ("train.jsonl", ["testimonials.jsonl"], None),
        ("a.jsonl", ["test.jsonl"], None),
    ],
)
def test_a_training_file_finds_its_own_test_file_by_name(file: str, others: list[str], chosen: str | None) -> None:
    found = choose_test(file, folder(*others), NOTHING)
    assert (found.name if found else None) == (f"bot/{chosen}" if chosen else None)
