import pytest

from shared.runs.names import is_dataset, project_of


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


@pytest.mark.parametrize(
    "name",
    ["a.jsonl.gz", "a.json", "a.tsv", "a.parquet.zst", "a.ndjson", "archive.zip", "table.xlsx", "my.tokenizer.json"],
)
def test_every_other_file_is_taken_and_what_it_is_shows_when_it_is_read(name: str) -> None:
    assert is_dataset(f"bot/{name}")


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "Tokenizer_Config.json", "chat.schema.json", "dataset_info.json", "report.html"]
)
def test_what_libraries_save_beside_a_dataset_is_none(name: str) -> None:
    assert not is_dataset(f"bot/{name}")


@pytest.mark.parametrize("name", ["faq.jsonl.gz", "faq.json", "faq.parquet", "faq.csv.zst", "faq/2026.tsv"])
def test_the_project_does_not_depend_on_the_format(name: str) -> None:
    assert project_of(name) == "faq"
