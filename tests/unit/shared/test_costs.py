"""Estimates of steps, hours and prices."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.azureml.hyperparameters import OWN_DEFAULTS
from shared.costs import DEFAULT_INSTANCE_TYPE, DEFAULT_MODEL, TrainingPlan, Workload, estimate, workload_of
from shared.costs.machines import GPUS, machine, price_table
from shared.costs.models import model_size
from shared.dataset.page import Range, Training
from shared.dataset.report import Bucket, Histogram
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
CATALOG = ROOT / "local" / "azureml" / "catalog"


def lengths(*conversations: int) -> Histogram:
    buckets = [Bucket(tokens, tokens, conversations.count(tokens)) for tokens in sorted(set(conversations))]
    total = sum(conversations)
    return Histogram(
        len(conversations), total, min(conversations), max(conversations), total / len(conversations), buckets
    )


def workload(train: int = 1000, test: int = 0, tokens: int = 1000, **more: int) -> Workload:
    return Workload(train_rows=train, test_rows=test, lengths=lengths(tokens), **more)


def estimated(load: Workload, **plan: object) -> Training:
    found = estimate(load, TrainingPlan(**plan))  # type: ignore[arg-type]
    assert found is not None
    return found


# One example, worked by hand


def test_an_example_is_what_the_formula_gives_by_hand() -> None:
    # 1,000 conversations of 1,000 tokens, 2 passes, batches of 4 gathered twice, on 2 A100: 8 conversations a batch of
    # both GPUs, 125 batches a pass, 63 steps a pass.
    found = estimated(
        workload(),
        foundation_model="some-7B",
        instance_type="Standard_NC48ads_A100_v4",
        num_train_epochs=2,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
    )
    assert (found.gpus, found.steps_per_epoch, found.steps) == (2, 63, 126)
    assert (found.tokens, found.tokens_cut, found.tokens_computed) == (1_000_000, 0, 2_000_000)
    # Width of a 7B model: (128 * 7e9 / 12) ** (1/3) = 4211; attention adds 1000 / (12 * 4211) = 1.98 %.
    # Low: 2e6 * 4 * 7e9 * 1.0198 / (2 * 312e12 * 0.45) = 203.4 s, and 250 batches * 0.05 s = 12.5 s: 0.0600 h
    # High: 2e6 * 6 * 7e9 * 1.0198 / (2 * 312e12 * 0.15) = 915.2 s, and 250 * 0.4 s = 100 s: 0.2820 h
    assert found.training_hours == Range(pytest.approx(0.0600, abs=1e-4), pytest.approx(0.2820, abs=1e-4))
    assert found.hours == Range(pytest.approx(0.36, abs=1e-4), pytest.approx(1.282, abs=1e-4))  # 0.3 to 1 h of set-up
    assert found.gpu_hours == Range(pytest.approx(0.72, abs=1e-3), pytest.approx(2.564, abs=1e-3))
    assert found.price_usd == Range(2.64, 9.42)  # 7.346 USD an hour
    assert found.notes == []


def test_full_training_takes_more_than_lora() -> None:
    lora, full = (
        estimated(workload(), apply_lora=lora, instance_type="Standard_ND96isr_H100_v5") for lora in (True, False)
    )
    assert lora.training_hours and full.training_hours
    assert full.training_hours.low > lora.training_hours.low
    assert full.training_hours.high > lora.training_hours.high
    assert (lora.lora, full.lora) == (True, False)


def test_32_bit_takes_more_than_16() -> None:
    half, single = (estimated(workload(), precision=bits).training_hours for bits in (16, 32))
    assert half and single
    assert single.low > half.low
    assert single.high > 10 * half.high * 0.5


@given(st.integers(1, 50_000), st.integers(1, 50_000), st.integers(1, 20), st.integers(0, 3))
def test_more_rows_or_passes_never_cost_less(rows: int, more: int, epochs: int, more_epochs: int) -> None:
    little = estimated(workload(rows), num_train_epochs=epochs)
    much = estimated(workload(rows + more), num_train_epochs=epochs + more_epochs)
    assert little.price_usd and much.price_usd
    assert little.price_usd.low <= little.price_usd.high
    assert little.price_usd.low <= much.price_usd.low
    assert little.price_usd.high <= much.price_usd.high
    assert little.steps <= much.steps


@given(st.integers(1, 16_000), st.integers(1, 16_000))
def test_longer_conversations_never_cost_less(tokens: int, more: int) -> None:
    short, long = estimated(workload(tokens=tokens)), estimated(workload(tokens=tokens + more))
    assert short.price_usd and long.price_usd
    assert short.price_usd.high <= long.price_usd.high


def test_more_gpus_take_fewer_steps_and_hours() -> None:
    one, four = (estimated(workload(), instance_type=f"Standard_NC{n}ads_A100_v4") for n in (24, 96))
    assert (one.steps, four.steps) == (1000, 250)
    assert one.training_hours and four.training_hours
    assert four.training_hours.high < one.training_hours.high


def test_nodes_multiply_the_price_of_an_hour() -> None:
    found = estimated(workload(), num_nodes_finetune=2)
    assert found.hours and found.price_usd
    assert found.price_usd.low == pytest.approx(found.hours.low * 2 * 3.673, abs=0.05)


# Lengths


def test_conversations_are_cut_at_max_seq_length() -> None:
    load = Workload(train_rows=2, test_rows=0, lengths=lengths(100, 1100))
    found = estimated(load, max_seq_length=600)
    assert (found.tokens, found.tokens_cut) == (700, 500)


def test_conversations_are_cut_at_what_the_model_takes() -> None:
    found = estimated(workload(train=1, tokens=20_000))
    assert (found.tokens, found.tokens_cut) == (16_384, 3_616)


def test_a_counted_loss_is_used_instead_of_the_histogram() -> None:
    load = workload(train=1, tokens=20_000, context_window=16_384, tokens_over_context=4_000)
    assert estimated(load).tokens == 16_000


def test_batches_are_padded_to_their_longest_conversation() -> None:
    load = Workload(train_rows=2000, test_rows=0, lengths=lengths(*[100] * 50, *[300] * 50))
    alone, pairs = (estimated(load, per_device_train_batch_size=size).tokens_computed for size in (1, 2))
    assert alone == 2000 * 200
    assert pairs == 2000 * 250  # three of four pairs hold a long one


def test_padding_to_the_longest_sequence_is_counted() -> None:
    assert estimated(workload(10, tokens=100), pad_to_max_length=True, max_seq_length=512).tokens_computed == 5120


def test_test_rows_are_scaled_out_of_the_training_tokens() -> None:
    load = Workload(train_rows=3, test_rows=1, lengths=lengths(100, 100, 100, 100))
    assert estimated(load).tokens == 300


def test_max_steps_ends_the_training() -> None:
    found = estimated(workload(), max_steps=60, num_train_epochs=3)
    assert (found.steps, found.epochs) == (60, 0.06)
    assert found.tokens_computed == 60_000


def test_testing_is_counted_as_often_as_it_happens() -> None:
    hours = {
        strategy: estimated(workload(test=5000), evaluation_strategy=strategy, eval_steps=100).training_hours
        for strategy in ("disable", "epoch", "steps")
    }
    low = {strategy: found.low for strategy, found in hours.items() if found}
    assert low["disable"] < low["epoch"] < low["steps"]


# What is not known


def test_a_size_without_a_price_has_hours_and_says_so() -> None:
    found = estimated(workload(), instance_type="Standard_ND96isr_H200_v5", gpus_per_node=8)
    assert found.gpu_hours and found.price_usd is None and found.usd_per_hour is None
    assert any("no list price for Standard_ND96isr_H200_v5" in note for note in found.notes)


def test_a_size_whose_gpu_is_unknown_has_steps_only() -> None:
    found = estimated(workload(), instance_type="Standard_F4s_v2")
    assert found.steps == 1000
    assert found.hours is None and found.price_usd is None
    assert any("GPU of Standard_F4s_v2 is not known" in note for note in found.notes)


def test_a_model_of_unknown_size_has_steps_only() -> None:
    found = estimated(workload(), foundation_model="secret-sauce")
    assert found.steps == 1000 and found.hours is None and found.price_usd is None
    assert any("size of secret-sauce is not known" in note for note in found.notes)


def test_nothing_to_train_on_is_no_training() -> None:
    assert estimate(workload(train=0), TrainingPlan()) is None
    assert estimate(Workload(train_rows=1, test_rows=0, lengths=Histogram(0, 0, 0, 0, 0.0, [])), TrainingPlan()) is None


def test_a_model_that_cannot_fit_is_warned_of() -> None:
    assert any("out of memory" in note for note in estimated(workload(), apply_lora=False).notes)
    assert estimated(workload()).notes == []


def test_gpus_are_counted_as_the_plan_says() -> None:
    assert estimated(workload(), gpus_per_node=4).steps == 250


# Where the figures come from


def test_the_report_of_a_dataset_is_a_workload(prepared_report) -> None:
    load = workload_of(prepared_report)
    assert (load.train_rows, load.test_rows) == (prepared_report.rows_train, prepared_report.rows_test)
    found = estimated(load)
    assert 0 < found.tokens < prepared_report.approx_tokens.total


@pytest.fixture
def prepared_report():
    from shared.dataset import PrepareOptions, prepare

    class Nowhere:
        def write(self, data: bytes | bytearray) -> None:
            pass

    source = (ROOT / "samples" / "vendlebury.jsonl").read_bytes()
    return prepare([source], train=Nowhere(), test=Nowhere(), options=PrepareOptions(), name="vendlebury.jsonl")


def test_a_plan_is_made_of_hyperparameters_as_the_wire_carries_them() -> None:
    plan = TrainingPlan.of(
        {"num_train_epochs": "3", "apply_lora": "false", "precision": "32", "learning_rate": "1e-5"},
        foundation_model="Phi-4",
        instance_type="Standard_NC24ads_A100_v4",
        gpus_per_node=1,
    )
    assert (plan.num_train_epochs, plan.apply_lora, plan.precision, plan.gpus_per_node) == (3, False, 32, 1)
    with pytest.raises(msgspec.ValidationError):
        TrainingPlan.of({"num_train_epochs": "many"}, foundation_model="x", instance_type="y")


def test_the_defaults_are_the_apps_own() -> None:
    setting = next(field for field in fields(Settings) if field.name == "foundation_model")
    assert setting.metadata["default"] == DEFAULT_MODEL
    entry = json.loads(next((CATALOG / "models").glob("Phi-4-*.json")).read_text())
    text = json.dumps(entry)
    assert DEFAULT_INSTANCE_TYPE in text
    found = _find(entry, "finetune-recommended-sku")
    assert found.split(",")[0] == DEFAULT_INSTANCE_TYPE
    submitted = {**OWN_DEFAULTS, **ast.literal_eval(_find(entry, "model_specific_defaults"))}
    plan = TrainingPlan.of(submitted, foundation_model=DEFAULT_MODEL, instance_type=DEFAULT_INSTANCE_TYPE)
    assert plan == TrainingPlan()


def _find(entry, key):
    """The value of a key, however deep the catalog's answer keeps it."""
    if isinstance(entry, dict):
        if key in entry:
            return entry[key]
        entry = list(entry.values())
    if isinstance(entry, list):
        return next((value for item in entry if (value := _find(item, key)) is not None), None)
    return None


def test_every_size_the_catalogs_models_train_on_has_a_price_and_the_gpus_that_azure_names() -> None:
    sizes = {size["name"]: size for size in json.loads((CATALOG / "vm_sizes.json").read_text())}
    for name, row in price_table().sizes.items():
        assert row.gpu in GPUS
        assert row.usd_per_hour > 0
        assert row.source in ("api", "copies")
        assert len(row.as_of) == len("2026-11-24")
        if name in sizes:
            assert (row.gpus, row.memory_gib) == (sizes[name]["gpus"], sizes[name]["memoryGB"])
    offered = {name for name, size in sizes.items() if size["gpus"] and name != "Standard_NC6"}  # K80: refused anyway
    assert offered <= set(price_table().sizes)


@pytest.mark.parametrize(
    ("size", "gpu"),
    [
        ("standard_nc24ads_a100_v4", "A100-80GB"),
        ("Standard_ND96as_v4", "A100-40GB"),
        ("Standard_ND96ams_A100_v4", "A100-80GB"),
        ("Standard_ND96is_H100_v5", "H100-80GB"),
        ("Standard_NV36ads_A10_v5", "A10"),
        ("Standard_D4s_v5", None),
    ],
)
def test_the_gpu_is_read_from_a_size_or_its_name(size: str, gpu: str | None) -> None:
    assert machine(size).gpu == (GPUS[gpu] if gpu else None)


@pytest.mark.parametrize(
    ("name", "parameters", "active"),
    [
        ("Phi-4", 14.7, 14.7),
        ("phi-4:8", 14.7, 14.7),
        ("Meta-Llama-3.1-8B-Instruct", 8, 8),
        ("SmolLM2-360M", 0.36, 0.36),
        ("other-8x7B-v0.1", 56, 14),
        ("my_1.5b", 1.5, 1.5),
    ],
)
def test_a_models_size_is_known_or_read_from_its_name(name: str, parameters: float, active: float) -> None:
    found = model_size(name)
    assert found is not None
    assert (found.parameters, found.active) == (pytest.approx(parameters), pytest.approx(active))


@pytest.mark.parametrize("name", ["gpt2", "some-v4b2", "", "0b", "x" * 1000])
def test_other_names_tell_no_size(name: str) -> None:
    assert model_size(name) is None
