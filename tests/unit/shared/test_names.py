import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runs import names
from shared.runs.rows import row_key

AT = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)


def test_same_version_and_options_give_the_same_run() -> None:
    a = names.run_id_of("datasets", "bot/a.jsonl", '"0x1"', AT, {"x": 1, "y": 2})
    assert a == names.run_id_of("datasets", "bot/a.jsonl", "0x1", AT, {"y": 2, "x": 1})
    assert a.startswith("bot-20261124123005-")


@pytest.mark.parametrize(
    ("blob", "etag", "options"),
    [("bot/b.jsonl", "0x1", {}), ("bot/a.jsonl", "0x2", {}), ("bot/a.jsonl", "0x1", {"x": 1})],
)
def test_another_blob_version_or_option_gives_another_run(blob: str, etag: str, options: dict[str, int]) -> None:
    base = names.run_id_of("datasets", "bot/a.jsonl", "0x1", AT, {})
    assert names.run_id_of("datasets", blob, etag, AT, options) != base


@given(st.text(min_size=1, max_size=60))
def test_names_are_valid_for_azure_whatever_the_project_is_called(project: str) -> None:
    run_id = names.run_id_of("datasets", f"{project}/a.jsonl", "0x1", AT, {})
    assert names.is_run_id(run_id)
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]", names.endpoint_name(run_id, project))
    assert re.fullmatch(r"[A-Za-z0-9.-]{1,255}", names.model_name("Phi-4", project))


@given(st.text(min_size=1, max_size=60), st.integers(0, 9))
def test_a_job_leads_back_to_its_run(project: str, retry: int) -> None:
    run_id = names.run_id_of("datasets", f"{project}/a.jsonl", "0x1", AT, {})
    assert names.run_id_of_job(names.job_name(run_id, retry)) == run_id


@pytest.mark.parametrize(
    "job", ["AutoML_ad912b2d-6467-4f32-a616-dbe4af6dd8fc_5", "", "bot-r1", "fccae07e-378c-46fc-9996-db9b5412b137"]
)
def test_strangers_and_children_are_no_runs(job: str) -> None:
    assert names.run_id_of_job(job) is None


def test_rows_sort_the_newest_run_first() -> None:
    older, newer = "zebra-20261124123005-00000000", "ant-20261124123006-00000000"
    assert row_key(newer) < row_key(older)
