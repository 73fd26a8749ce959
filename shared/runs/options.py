"""What a person may choose for a run, and how the layers of choices lie over each other.

Hyperparameters: defaults of this app < the model's own defaults < app settings < `finetune.yaml` beside the dataset
< the blob's metadata < the HTTP body. All other options: app settings < finetune.yaml < metadata < body.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared import setting_forms as forms
from shared import typed
from shared.errors import OptionsError
from shared.idle.policy import Action, parse_action
from shared.runs import budget, dataset_options, deploy_options, quality_options
from shared.runs.dataset_options import DatasetOptions
from shared.runs.deploy_options import DeployOptions
from shared.settings import Settings

OPTIONS_FILE = "finetune.yaml"
OPTIONS_BYTES = 32 * 1024
METADATA_PREFIX = "finetune_"
Scalar = str | int | float | bool


class ComputeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to train. name: a cluster, or `serverless`."""

    name: str | None = None
    instance_type: str | None = None


class QualityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a trained model must reach to be deployed. None: not asked for.

    max_eval_loss: on the run's test rows. must_beat_live: the model that now serves the project must not be better.
    min_rows: test rows, below which no comparison is believed. different_test_sets: `hold` or `ignore`, when the live
    model was tested on other rows.
    """

    max_eval_loss: float | None = None
    must_beat_live: bool | None = None
    min_rows: int | None = None
    different_test_sets: str | None = None


class BudgetOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """In US dollars. hold_above: a run whose training may cost more waits for approval. max_per_run: what it may cost
    at most; no approval helps."""

    hold_above: float | None = None
    max_per_run: float | None = None


class RunOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a run can be given. None: the layer below decides."""

    foundation_model: str | None = None
    hyperparameters: dict[str, Scalar] = {}
    sample_percent: float | None = None
    test_fraction: float | None = None
    seed: int | None = None
    compute: ComputeOptions = ComputeOptions()
    deploy: DeployOptions = DeployOptions()
    dataset: DatasetOptions = DatasetOptions()
    quality: QualityOptions = QualityOptions()
    budget: BudgetOptions = BudgetOptions()
    evaluate: bool | None = None
    idle_after: str | None = None
    idle_warn_for: str | None = None
    idle_action: str | None = None
    expires_at: str | None = None
    keep: bool | None = None


class EffectiveOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options after all layers; `hyperparameters` are the user's, without the defaults below them."""

    foundation_model: str
    hyperparameters: dict[str, Scalar]
    sample_percent: float
    test_fraction: float
    seed: int
    compute: str
    training_instance_type: str
    serving_instance_types: list[str]
    serving_instance_count: int
    smoke_tests: int
    dataset: DatasetOptions
    quality: QualityOptions
    budget: BudgetOptions
    evaluate: bool
    deploy: DeployOptions
    idle_after: timedelta
    idle_warn_for: timedelta
    idle_action: Action
    expires_at: datetime | None
    keep: bool


_FORMS: Mapping[str, Callable[[str], Any]] = {
    "idle_after": forms.span,
    "idle_warn_for": forms.duration,
    "idle_action": parse_action,
    "expires_at": forms.utc_moment,
}
_TOP_LEVEL = frozenset(field.name for field in msgspec.structs.fields(RunOptions)) - {"hyperparameters"}


def parse_finetune_yaml(data: bytes, name: str) -> dict[str, Any]:
    """Read a `finetune.yaml`.

    Raises: OptionsError: not YAML, not a mapping, or an unknown option.
    """
    import yaml

    if len(data) > OPTIONS_BYTES:
        raise OptionsError(f"{name}: {len(data):,} bytes are too many for options, expected at most {OPTIONS_BYTES:,}")
    try:
        value = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError) as fault:  # PyYAML raises them all
        where = getattr(fault, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise OptionsError(f"{name}{line}: not valid YAML ({getattr(fault, 'problem', None) or fault})") from fault
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise OptionsError(f"{name}: expected options such as `foundation_model: Phi-4`, found {type(value).__name__}")
    # YAML makes a date of what looks like one; the options have it as text.
    plain = {key: item.isoformat() if isinstance(item, datetime) else item for key, item in value.items()}
    return checked(plain, name)


def parse_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read options from a blob's metadata: `finetune_foundation_model`, `finetune_dataset_layout`, and any
    hyperparameter as `finetune_{name}`.

    >>> parse_metadata({"finetune_learning_rate": "1e-4", "author": "me"})
    {'hyperparameters': {'learning_rate': '1e-4'}}
    """
    options: dict[str, Any] = {}
    of_dataset: dict[str, str] = {}
    for key, value in metadata.items():
        name = key.lower()
        if not name.startswith(METADATA_PREFIX):
            continue
        name = name.removeprefix(METADATA_PREFIX)
        if name in _TOP_LEVEL:
            options[name] = value
        elif name.startswith(dataset_options.METADATA_PREFIX):
            of_dataset[name.removeprefix(dataset_options.METADATA_PREFIX)] = value
        else:
            options.setdefault("hyperparameters", {})[name] = value
    if of_dataset:
        options["dataset"] = dataset_options.from_metadata(of_dataset)
    return checked(options, "blob metadata")


def checked(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the options as plain data, in the form of `RunOptions`.

    Raises: OptionsError: an unknown name, or a value of the wrong type or out of range; says where.
    """
    try:
        # Metadata and YAML carry numbers as text too ("1e-4" is text in YAML 1.1), hence not strict.
        value = typed.convert(options, RunOptions, strict=False)
    except msgspec.ValidationError as fault:
        raise OptionsError(f"{source}: {_readable(str(fault))}") from fault
    for fault_text in _range_faults(value):
        raise OptionsError(f"{source}: {fault_text}")
    plain = _without_defaults(value)
    # They are kept in the run's row, which has its limits; and YAML can say much with few bytes.
    if (size := len(msgspec.json.encode(plain))) > OPTIONS_BYTES:
        raise OptionsError(f"{source}: {size:,} bytes are too many for options, expected at most {OPTIONS_BYTES:,}")
    return plain


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Lay mappings over each other, later ones win; nested mappings are merged.

    >>> merge([{"deploy": {"smoke_tests": 1}}, {"deploy": {"instance_count": 2}}])
    {'deploy': {'smoke_tests': 1, 'instance_count': 2}}
    """
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            result[key] = merge([below, value]) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return result


def effective(options: Mapping[str, Any], settings: Settings) -> EffectiveOptions:
    """Lay a run's own options over the app's settings."""
    own = typed.convert(options, RunOptions, strict=False)
    hyperparameters = merge([settings.hyperparameters, own.hyperparameters])
    context_window = dataset_options.context_window(own.dataset, hyperparameters)
    return EffectiveOptions(
        foundation_model=own.foundation_model or settings.foundation_model,
        hyperparameters=hyperparameters,
        sample_percent=settings.sample_percent if own.sample_percent is None else own.sample_percent,
        test_fraction=settings.test_fraction if own.test_fraction is None else own.test_fraction,
        seed=own.seed or 0,
        compute=own.compute.name or settings.training_compute,
        training_instance_type=own.compute.instance_type or settings.training_instance_type,
        serving_instance_types=own.deploy.instance_types
        or ([settings.serving_instance_type] if settings.serving_instance_type else []),
        serving_instance_count=own.deploy.instance_count or settings.serving_instance_count,
        smoke_tests=own.deploy.smoke_tests or settings.smoke_tests,
        dataset=msgspec.structs.replace(own.dataset, context_window=context_window),
        quality=own.quality,
        budget=BudgetOptions(
            hold_above=_first(own.budget.hold_above, settings.hold_above),
            max_per_run=_first(own.budget.max_per_run, settings.max_per_run),
        ),
        evaluate=settings.evaluate if own.evaluate is None else own.evaluate,
        deploy=own.deploy,
        idle_after=forms.span(own.idle_after) if own.idle_after else settings.idle_after,
        idle_warn_for=forms.duration(own.idle_warn_for) if own.idle_warn_for else settings.idle_warn_for,
        idle_action=parse_action(own.idle_action) if own.idle_action else settings.idle_action,
        expires_at=forms.utc_moment(own.expires_at) if own.expires_at else None,
        keep=bool(own.keep),
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _range_faults(options: RunOptions) -> Iterable[str]:
    if options.sample_percent is not None and not 0 < options.sample_percent <= 100:
        yield f"sample_percent is {options.sample_percent:g}, expected above 0 and up to 100"
    if options.test_fraction is not None and not 0 < options.test_fraction <= 0.5:
        yield f"test_fraction is {options.test_fraction:g}, expected above 0 and up to 0.5"
    for name, value in options.hyperparameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield f"hyperparameters.{name} is {value}, expected a finite number"
    yield from dataset_options.faults(options.dataset)
    yield from deploy_options.faults(options.deploy)
    yield from budget.faults(options.budget.hold_above, options.budget.max_per_run)
    yield from quality_options.faults(options.quality)
    for name, form in _FORMS.items():
        text = getattr(options, name)
        try:
            if text is not None:
                form(text)
        except ValueError as expected:
            yield f"{name} is {text!r}, expected {expected}"


def _readable(fault: str) -> str:
    """Turn msgspec's wording into the user's: `$.deploy` is the option `deploy`."""
    known = ", ".join(sorted([*_TOP_LEVEL, "hyperparameters"]))
    text = fault.replace("Object contains unknown field", "unknown option").replace("`$.", "`")
    return f"{text}; the options are {known}" if "unknown option" in text else text


def _without_defaults(value: RunOptions) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(value)
    return {
        key: item
        for key, raw in data.items()
        if (item := {k: v for k, v in raw.items() if v is not None} if isinstance(raw, dict) else raw) not in (None, {})
    }
