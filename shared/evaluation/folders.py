"""Where in a model's folder what lies: Azure's MLflow models and plain Hugging Face folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# (weights, tokenizer, configuration). Sources: the catalog's hftransformersv2; mlflow.transformers; Hugging Face.
_LAYOUTS = (
    ("data/model", "data/tokenizer", "data/config"),
    ("model", "components/tokenizer", "model"),
    (".", ".", "."),
)
_WEIGHTS = (".safetensors", ".bin")


class ModelFolderError(Exception):
    """The folder holds no model that can be loaded. The message names no text of a dataset."""


@dataclass(frozen=True)
class Parts:
    """The folders to load from. adapter: LoRA weights that were not merged into the model."""

    model: Path
    tokenizer: Path
    config: Path
    adapter: Path | None


def find_parts(folder: Path) -> Parts:
    """Find a model in its folder, or in the only folder below it, where a registered model is mounted.

    Raises: ModelFolderError: it is of none of the known layouts.
    """
    for root in (folder, *sorted(file.parent for file in folder.glob("*/MLmodel"))):
        for model, tokenizer, config in _LAYOUTS:
            if _has_weights(root / model):
                return _parts(root / model, root / tokenizer, root / config)
    names = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) if folder.is_dir() else "nothing"
    raise ModelFolderError(f"no weights where they are expected ({', '.join(m for m, *_ in _LAYOUTS)}); found {names}")


def _parts(model: Path, tokenizer: Path, config: Path) -> Parts:
    adapter = model / "adapter"
    return Parts(
        model=model,
        tokenizer=tokenizer if (tokenizer / "tokenizer_config.json").is_file() else model,
        config=model if (model / "config.json").is_file() else config,
        adapter=adapter if adapter.is_dir() else None,
    )


def _has_weights(folder: Path) -> bool:
    return folder.is_dir() and any(file.suffix in _WEIGHTS for file in folder.iterdir())
