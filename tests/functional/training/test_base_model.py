"""The base model's folder."""

from pathlib import Path

from .conftest import start


def test_made_folder_is_left_alone(cache: Path) -> None:
    weights = cache / "models" / "tiny-random" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = start("-m", "local.training.base_model", "--engine", "fast", "--cache", str(cache))
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert weights.stat().st_mtime_ns == before


def test_nothing_half_made_remains(cache: Path) -> None:
    assert [path.name for path in (cache / "models").iterdir()] == ["tiny-random"]
