"""How somebody's own dataset is trained on in a demo: as much of it as a laptop manages in minutes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.demo.preview import Preview

BATCH_ROWS = 4
TRAINING_S = 120
# Measured with SmolLM2-135M and LoRA on two cores: seconds a step for each token of a batch.
_STEP_S_PER_TOKEN = 0.0052
_PADDING = 1.3
_LONGEST_ROW, _TEST_ROWS = 256, 16
_FEWEST_STEPS, _MOST_STEPS = 16, 60


@dataclass(frozen=True)
class Effort:
    """What a demo can do with a file: steps of `BATCH_ROWS` rows, rows cut at `max_seq_length` tokens."""

    max_steps: int
    max_seq_length: int
    test_fraction: float

    @property
    def rows_seen(self) -> int:
        """Rows that are trained on, each time counted."""
        return self.max_steps * BATCH_ROWS


def effort_for(found: Preview) -> Effort:
    """Decide by what a look at the file has found."""
    # Rows of a batch are padded to its longest one.
    tokens = min(_LONGEST_ROW, max(16.0, found.tokens_a_row * _PADDING))
    steps = TRAINING_S / (BATCH_ROWS * tokens * _STEP_S_PER_TOKEN)
    return Effort(
        max_steps=int(min(_MOST_STEPS, max(_FEWEST_STEPS, steps))),
        max_seq_length=_LONGEST_ROW,
        test_fraction=min(0.2, max(0.002, _TEST_ROWS / max(1, found.rows))),
    )


def finetune_yaml(sample: Path, effort: Effort) -> bytes:
    """Return the sample's options, with another effort."""
    options: dict[str, Any] = yaml.safe_load(sample.read_text("utf-8"))
    options["test_fraction"] = effort.test_fraction
    options["hyperparameters"] |= {
        "max_steps": effort.max_steps,
        "max_seq_length": effort.max_seq_length,
        "eval_steps": effort.max_steps,
    }
    return json.dumps(options, indent=2).encode()  # JSON is YAML
