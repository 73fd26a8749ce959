from typing import Any

import pytest

from local.azureml.mlflow.errors import MlflowError
from local.azureml.mlflow.search import matches, ordered, parse

RUN: dict[str, dict[str, Any]] = {
    "tags": {"mlflow.rootRunId": "job-1", "mlflow.parentRunId": "job-1", "note": "it's"},
    "params": {"epochs": "3"},
    "metrics": {"eval_loss": 0.5, "system/cpu": 10.0},
    "attributes": {"status": "FINISHED", "run_id": "r1", "run_name": "chat_completion_finetune", "start_time": 1000},
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tags.mlflow.rootRunId = 'job-1'",
        "tags.mlflow.rootRunId='job-1'",
        'tags."mlflow.parentRunId" = "job-1"',
        "tags.`mlflow.parentRunId` = 'job-1' and metrics.eval_loss < 1",
        "tag.mlflow.rootRunId != 'other' AND attributes.status = 'FINISHED'",
        "status = 'FINISHED'",
        "run_id IN ('r0', 'r1')",
        "attributes.run_id NOT IN ('r0')",
        "run_name LIKE 'chat%finetune'",
        "attributes.run_name ILIKE 'CHAT_COMPLETION%'",
        "metrics.`system/cpu` >= 10 AND start_time > 999",
        "metrics.eval_loss > -1e3",
        "params.epochs = '3'",
        r"tags.note = 'it\'s'",
    ],
)
def test_run_is_found(text: str) -> None:
    assert matches(parse(text), RUN)


@pytest.mark.parametrize(
    "text",
    [
        "tags.mlflow.rootRunId = 'job-2'",
        "tags.absent != 'x'",
        "metrics.eval_loss > 0.5",
        "run_id IN ('r0')",
        "status = 'FINISHED' AND params.epochs = '4'",
        "run_name LIKE 'CHAT%'",
    ],
)
def test_run_is_not_found(text: str) -> None:
    assert not matches(parse(text), RUN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour.x = 'a'", "'colour' is not one of"),
        ("status = FINISHED", "expected a quoted string"),
        ("metrics.loss < 'a'", "expected a number"),
        ("status = 'A' OR status = 'B'", "expected AND, found 'OR'"),
        ("status ~ 'a'", "expected a comparison"),
        ("status =", "cannot read"),
        ("metrics.loss LIKE 'a'", "compares text"),
        ("run_id IN ('a' 'b')", "expected , or )"),
    ],
)
def test_search_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(MlflowError) as caught:
        parse(text)
    assert caught.value.code == "INVALID_PARAMETER_VALUE"
    assert said in caught.value.message


def test_order_puts_runs_without_the_key_last() -> None:
    runs = [{"loss": None, "n": 1}, {"loss": 2.0, "n": 2}, {"loss": 1.0, "n": 3}]

    def fields(run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        return {"metrics": {"loss": run["loss"]}, "attributes": {"start_time": run["n"]}, "tags": {}, "params": {}}

    assert [run["n"] for run in ordered(runs, ["metrics.loss ASC"], fields)] == [3, 2, 1]
    assert [run["n"] for run in ordered(runs, ["metrics.loss DESC", "start_time"], fields)] == [2, 3, 1]
    assert [run["n"] for run in ordered(runs, ["attributes.start_time DESC"], fields)] == [3, 2, 1]
