"""What the registry and the region offer."""

import ast
from typing import Any

import pytest

from local.azureml import catalog


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model["name"])
def test_every_allowed_size_exists_and_can_do_what_it_is_allowed_for(model: dict[str, Any]) -> None:
    for purpose, ability in (("finetune", "AmlCompute"), ("inference", "MIR")):
        allowed = model["properties"][f"{purpose}-recommended-sku"].split(", ")
        tag = model["tags"].get(f"{purpose}_compute_allow_list")
        allowed += ast.literal_eval(tag) if tag else []
        for name in allowed:
            size = catalog.vm_size(name)
            assert size is not None, name
            assert ability in size["supportedComputeTypes"], name


@pytest.mark.parametrize("model", catalog.models(), ids=lambda model: model["name"])
def test_tags_and_properties_are_strings(model: dict[str, Any]) -> None:
    values = [*model["tags"].values(), *model["properties"].values()]
    assert all(isinstance(value, str) for value in values)


def test_labels_and_versions_find_the_component() -> None:
    latest = catalog.component("chat_completion_pipeline", "latest")
    assert latest is catalog.component("chat_completion_pipeline", "0.0.82")
    assert catalog.component("chat_completion_pipeline", "9.9.9") is None


def test_defaults_of_the_component_keep_its_own_rules() -> None:
    spec = catalog.component("chat_completion_pipeline", "latest")
    assert spec is not None
    for name, declared in spec["inputs"].items():
        if "default" in declared and "enum" in declared:
            assert declared["default"] in declared["enum"], name
        if "default" in declared and "min" in declared:
            assert float(declared["default"]) >= float(declared["min"]), name


def test_sizes_are_found_whatever_their_case() -> None:
    found = catalog.vm_size("STANDARD_NC24ADS_A100_V4")
    assert found is not None
    assert (found["gpus"], found["vCPUs"]) == (1, 24)
