"""What the public registry and the region offer: models, components and machine sizes, as data files."""

import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
REGISTRY = "azureml"
ENVIRONMENTS = frozenset({(REGISTRY, "acft-hf-nlp-gpu")})
"""Curated environments a command may ask for. The Python that trains stands in for them: it has torch."""


@cache
def models() -> tuple[dict[str, Any], ...]:
    return _load("models")


@cache
def components() -> tuple[dict[str, Any], ...]:
    return _load("components")


@cache
def vm_sizes() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads((_FOLDER / "vm_sizes.json").read_text()))


def vm_size(name: str) -> dict[str, Any] | None:
    """Find a machine size; Azure ignores the case of its name."""
    return next((size for size in vm_sizes() if size["name"].lower() == name.lower()), None)


def component(name: str, version: str) -> dict[str, Any] | None:
    """Find a registry component's spec; `version` may be the label `latest`."""
    return _find(components(), name, version)


def model(name: str, version: str) -> dict[str, Any] | None:
    """Find a registry model; `version` may be the label `latest`."""
    return _find(models(), name, version)


def _load(folder: str) -> tuple[dict[str, Any], ...]:
    """Read the entries, newest version first, without the note that says where each comes from."""
    entries = [json.loads(file.read_text()) for file in (_FOLDER / folder).glob("*.json")]
    for entry in entries:
        del entry["_source"]
    return tuple(sorted(entries, key=lambda entry: _numbers(entry["version"]), reverse=True))


def _find(entries: tuple[dict[str, Any], ...], name: str, version: str) -> dict[str, Any] | None:
    named = (entry for entry in entries if entry["name"].lower() == name.lower())
    return next((entry for entry in named if version in ("latest", entry["version"])), None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
