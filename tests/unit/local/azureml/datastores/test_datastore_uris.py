"""URIs that point into datastores."""

import pytest

from local import names
from local.azureml.datastores import state

LONG = f"{names.WORKSPACE_URI}/datastores/finetune_prepared/paths/run-1/train.jsonl"
SHORT = "azureml://datastores/finetune_prepared/paths/run-1/train.jsonl"


@pytest.mark.parametrize("uri", [LONG, SHORT, LONG.replace("resourcegroups", "resourceGroups")])
def test_short_and_long_mean_the_same(uri: str) -> None:
    assert state.parse(uri) == ("finetune_prepared", "run-1/train.jsonl")


@pytest.mark.parametrize("uri", ["https://a.blob.core.windows.net/c/b", "azureml://jobs/j/outputs/o", "azureml:d:1"])
def test_anything_else_is_none(uri: str) -> None:
    assert state.parse(uri) is None
    assert state.expand(uri, "resourceGroups") == uri


def test_the_short_form_is_expanded() -> None:
    assert state.expand(SHORT, "resourcegroups") == LONG
    assert "/resourceGroups/" in state.expand(SHORT, "resourceGroups")
