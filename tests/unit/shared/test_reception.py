import pytest

from shared.runs.reception import is_dataset


@pytest.mark.parametrize("name", ["a.jsonl", "bot/a.jsonl", "bot/2026/11/a.parquet", "bot/ä b.csv", "bot/no-extension"])
def test_datasets_are_taken(name: str) -> None:
    assert is_dataset(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "bot/", "bot/finetune.yaml", "README.md", "bot/.hidden", "_temporary/_part", "../secrets/x.jsonl",
        "bot/../x.jsonl", "./x.jsonl", "bot//x.jsonl", "bot\\x.jsonl", "bot/x\n.jsonl", "/x.jsonl",
    ],
)  # fmt: skip
def test_notes_temporary_files_and_paths_that_lead_elsewhere_are_not(name: str) -> None:
    assert not is_dataset(name)
