"""Which base model stands for each engine, and where it lies. Imported on both sides: standard library only."""

from pathlib import Path

FOLDERS = {"lora": "SmolLM2-135M-Instruct", "fast": "tiny-random", "simulated": "none"}


def folder(cache: Path, engine: str) -> Path:
    """Name the base model's folder under `cache`, made or not."""
    return cache / "models" / FOLDERS[engine]
