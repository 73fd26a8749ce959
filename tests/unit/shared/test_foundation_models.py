from shared.azureml.foundation_models import foundation_model_of


def test_older_entries_carry_python_lists_as_text() -> None:
    tags = {
        "finetune_compute_allow_list": "['Standard_A', 'Standard_B']",
        "inference_compute_allow_list": "['Standard_C']",
        "model_specific_defaults": "{'apply_lora': 'true', 'precision': 16}",
    }
    model = foundation_model_of("m", "1", "id", tags, {})
    assert model.training_sizes == ("Standard_A", "Standard_B")
    assert model.serving_sizes == ("Standard_C",)
    assert model.hyperparameter_defaults == {"apply_lora": "true", "precision": 16}


def test_newer_entries_carry_names_in_properties_and_json_in_tags() -> None:
    properties = {
        "finetune-recommended-sku": "Standard_A, Standard_B,Standard_C",
        "inference-recommended-sku": "Standard_D",
    }
    model = foundation_model_of("m", "1", "id", {"model_specific_defaults": '{"apply_lora": true}'}, properties)
    assert model.training_sizes == ("Standard_A", "Standard_B", "Standard_C")
    assert model.serving_sizes == ("Standard_D",)
    assert model.hyperparameter_defaults == {"apply_lora": True}


def test_a_catalog_that_says_nothing_allows_nothing_and_forbids_nothing() -> None:
    model = foundation_model_of(
        "m", "1", "id", {"model_specific_defaults": "{broken"}, {"finetune-recommended-sku": ""}
    )
    assert (model.training_sizes, model.serving_sizes, dict(model.hyperparameter_defaults)) == (None, None, {})


def test_a_retired_model_is_warned_of() -> None:
    model = foundation_model_of("Phi-3-mini-4k-instruct", "13", "id", {}, {})
    assert "retired on 2025-08-30" in model.warnings[0]
    assert "Phi-4" in model.warnings[0]


def test_a_date_in_the_catalog_wins() -> None:
    assert foundation_model_of("m", "1", "id", {}, {"finetuneRetirementDate": "2020-01-01T00:00:00Z"}).warnings
    assert not foundation_model_of("m", "1", "id", {}, {"finetuneRetirementDate": "2999-01-01T00:00:00Z"}).warnings
    assert not foundation_model_of("m", "1", "id", {}, {"finetuneRetirementDate": "whenever"}).warnings
