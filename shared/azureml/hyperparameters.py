"""Hyperparameters: the layers below the user's, and the check against the component's own inputs.

The SDK checks neither enums nor ranges nor numbers of a component's inputs, and a job that is refused after its
cluster started has cost money already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import HyperparameterError

OWN_DEFAULTS: Mapping[str, str] = {
    # The tutorial's values.
    "num_train_epochs": "3",
    "per_device_train_batch_size": "1",
    "per_device_eval_batch_size": "1",
    "learning_rate": "5e-6",
    "lr_scheduler_type": "cosine",
    # The component's own defaults (no LoRA, 32 bit, no early stopping) cost the most and help the least.
    "apply_lora": "true",
    "apply_deepspeed": "true",
    "deepspeed_stage": "2",
    "precision": "16",
    "evaluation_strategy": "epoch",
    "apply_early_stopping": "true",
    "early_stopping_patience": "2",
    "metric_for_best_model": "loss",
    "save_total_limit": "1",
    "logging_strategy": "steps",
    "logging_steps": "10",
}
# Set by the app from the run, never by a person: what the model, the data and the compute are.
RESERVED = frozenset(
    {
        "huggingface_id",
        "pytorch_model_path",
        "mlflow_model_path",
        "train_file_path",
        "validation_file_path",
        "test_file_path",
        "train_mltable_path",
        "validation_mltable_path",
        "test_mltable_path",
        "compute_model_import",
        "compute_preprocess",
        "compute_finetune",
        "compute_model_evaluation",
        "instance_type_model_import",
        "instance_type_preprocess",
        "instance_type_finetune",
        "instance_type_model_evaluation",
        "number_of_gpu_to_use_finetuning",
        "task_name",
    }
)


@dataclass(frozen=True)
class InputSpec:
    """One input of the component. Bounds are None where the component gives none."""

    name: str
    type: str
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


def input_specs(component: Any) -> dict[str, InputSpec]:
    """Read the inputs of the SDK's component object."""
    return {
        name: InputSpec(
            name=name,
            type=str(spec.type),
            enum=tuple(str(value) for value in (getattr(spec, "enum", None) or ())),
            minimum=_number(getattr(spec, "min", None)),
            maximum=_number(getattr(spec, "max", None)),
        )
        for name, spec in component.inputs.items()
    }


def resolve(
    specs: Mapping[str, InputSpec], model_defaults: Mapping[str, Any], chosen: Mapping[str, Any]
) -> tuple[dict[str, str], list[str]]:
    """Lay the layers over each other: own defaults < the model's defaults < what was chosen for the run.

    Returns: the hyperparameters as the wire carries them (text), and notes about model defaults that were left out.
    Raises: HyperparameterError: all faults of what was chosen, in one text.
    """
    values = {name: value for name, value in OWN_DEFAULTS.items() if name in specs}
    notes = []
    for name, value in model_defaults.items():
        text, fault = _checked(specs, name, value)
        if fault:
            notes.append(f"The catalog's default {name}={value} was left out: {fault}")
        else:
            values[name] = text
    faults = []
    for name, value in chosen.items():
        text, fault = _checked(specs, name, value)
        if fault:
            faults.append(fault)
        else:
            values[name] = text
    if faults:
        raise HyperparameterError("; ".join(faults))
    return values, notes


def _checked(specs: Mapping[str, InputSpec], name: str, value: Any) -> tuple[str, str | None]:
    """Return the value as text, and what is wrong with it."""
    spec = specs.get(name)
    text = str(value).lower() if isinstance(value, bool) else str(value).strip()
    if spec is None:
        return text, f"{name} is not an input of the component"
    if name in RESERVED:
        return text, f"{name} is set by the app itself"
    fault = _fault(spec, text)
    if fault is None and spec.type == "integer" and not spec.enum:
        text = str(int(float(text)))  # 2.0 is a whole number, but not one that the component reads
    return text, fault


def _fault(spec: InputSpec, text: str) -> str | None:
    if spec.enum:
        return None if text in spec.enum else f"{spec.name} is {text!r}, expected one of {', '.join(spec.enum)}"
    if spec.type not in ("integer", "number"):
        return None
    number = _number(text)
    if number is None or (spec.type == "integer" and not number.is_integer()):
        kind = "a whole number" if spec.type == "integer" else "a number"
        return f"{spec.name} is {text!r}, expected {kind}"
    if spec.minimum is not None and number < spec.minimum:
        return f"{spec.name} is {text}, expected {spec.minimum:g} or more"
    if spec.maximum is not None and number > spec.maximum:
        return f"{spec.name} is {text}, expected {spec.maximum:g} or less"
    return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None
