"""Foundation models and the fine-tuning component, as Azure's catalog describes them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from shared.azureml.client import AzureML
from shared.azureml.trouble import understood
from shared.errors import FoundationModelError, ResourceGoneError

# Fine-tuning retirement of models that the catalog archived: their specs in Azure/azureml-assets, `deprecation`.
_RETIRED = {"Phi-3-mini-4k-instruct": date(2025, 8, 30)}
_RETIREMENT_PROPERTIES = ("finetuneRetirementDate", "finetune-retirement-date")


@dataclass(frozen=True)
class FoundationModel:
    """A model of the catalog. `*_sizes`: VM sizes it may train or serve on, None when the catalog does not say."""

    name: str
    version: str
    id: str
    training_sizes: tuple[str, ...] | None
    serving_sizes: tuple[str, ...] | None
    hyperparameter_defaults: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def get_foundation_model(azureml: AzureML, reference: str) -> FoundationModel:
    """Look a model up by `name` (its latest version) or `name:version`.

    Raises: FoundationModelError: the registry has no such model.
    """
    registry = azureml.settings.model_registry
    model = _get(azureml.registry.models, reference, f"foundation model in registry {registry}")
    return foundation_model_of(model.name, str(model.version), model.id, model.tags or {}, model.properties or {})


def get_component(azureml: AzureML) -> Any:
    """Return the fine-tuning pipeline component, the SDK's own object.

    Raises: FoundationModelError: the registry has no such component.
    """
    registry = azureml.settings.model_registry
    return _get(azureml.registry.components, azureml.settings.pipeline_component, f"component in registry {registry}")


def foundation_model_of(
    name: str, version: str, model_id: str, tags: Mapping[str, str], properties: Mapping[str, str]
) -> FoundationModel:
    """Read what the catalog's tags and properties say about a model."""
    defaults = _literal(tags.get("model_specific_defaults"))
    return FoundationModel(
        name=name,
        version=version,
        id=model_id,
        training_sizes=_sizes(tags.get("finetune_compute_allow_list"), properties.get("finetune-recommended-sku")),
        serving_sizes=_sizes(tags.get("inference_compute_allow_list"), properties.get("inference-recommended-sku")),
        hyperparameter_defaults=defaults if isinstance(defaults, Mapping) else {},
        warnings=tuple(_warnings(name, properties)),
    )


def _get(operations: Any, reference: str, kind: str) -> Any:
    name, _, version = reference.partition(":")
    try:
        with understood(f"looking up {kind}: {reference}"):
            return operations.get(name, version=version) if version else operations.get(name, label="latest")
    except ResourceGoneError as missing:
        raise FoundationModelError(f"There is no {kind} called {reference!r}. Names are case-sensitive.") from missing


def _sizes(allow_list: str | None, recommended: str | None) -> tuple[str, ...] | None:
    """Older entries carry a Python list as text, newer ones names separated by commas."""
    value = _literal(allow_list)
    if isinstance(value, list | tuple):
        return tuple(str(size) for size in value)
    names = re.split(r"[,\s]+", recommended.strip()) if recommended and recommended.strip() else []
    return tuple(names) or None


def _literal(text: str | None) -> Any:
    """Read a tag's value: the catalog writes Python literals, some entries JSON. Not readable: None."""
    if not text:
        return None
    for read in (ast.literal_eval, json.loads):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _warnings(name: str, properties: Mapping[str, str]) -> list[str]:
    retired = next((_date(properties[key]) for key in _RETIREMENT_PROPERTIES if key in properties), None)
    retired = retired or _RETIRED.get(name)
    if retired and retired <= datetime.now(UTC).date():
        return [
            f"{name} is archived and its fine-tuning was retired on {retired:%Y-%m-%d}: "
            "Azure may refuse it at any time. Choose a current model, such as Phi-4."
        ]
    return []


def _date(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).date()
    except ValueError:
        return None
