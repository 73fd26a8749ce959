"""evaluation.json: numbers and prompt ids, never a text of the dataset or of a model."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

BASE, CANDIDATE, LIVE = "base", "candidate", "live"
_MOST_PERPLEXITY = 700.0  # exp() of more is no float


@dataclass
class Answer:
    """How near an answer came to the true one, 0 to 1, and how long it was."""

    prompt_id: str
    similarity: float
    characters: int


@dataclass
class Score:
    """What one model reached. None: not measured.

    loss: mean over the assistant's tokens (natural logarithm). loss_per_character: the same sum over the characters of
    the assistant's answers, which can be compared when the tokens cannot. tokenization: equal for two models that cut
    these rows into the same tokens, so that their losses can be compared. prompt_tokens: of the first rows' questions,
    by prompt id, chat template included. seconds: all of it, loading included.
    """

    loss: float | None = None
    perplexity: float | None = None
    loss_per_character: float | None = None
    tokens: int = 0
    characters: int = 0
    rows: int = 0
    rows_skipped: int = 0
    tokenization: str = ""
    prompt_tokens: dict[str, int] = field(default_factory=dict)
    similarity: float | None = None
    answers: list[Answer] = field(default_factory=list)
    probe_accuracy: float | None = None
    probe_questions: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Results:
    """The whole of evaluation.json. job: whose evaluation it is. live_run: whose model `live` is.

    rows_test: rows of test.jsonl, of which at most `MOST_ROWS` are looked at. error: why numbers are missing.
    """

    job: str
    live_run: str | None = None
    test_sha256: str | None = None
    rows_test: int = 0
    device: str | None = None
    models: dict[str, Score] = field(default_factory=dict)
    error: str | None = None
    seconds: float = 0.0

    def write(self, file: Path) -> None:
        """Write the file in one go: the storage may be mounted, where nothing can be renamed."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Results:
        """Read what `write` wrote."""
        document = json.loads(file.read_text(encoding="utf-8"))
        models = {}
        for name, score in document.pop("models").items():
            answers = [Answer(**answer) for answer in score.pop("answers")]
            models[name] = Score(**score, answers=answers)
        return cls(**document, models=models)

    def metrics(self) -> dict[str, float]:
        """Return the numbers under the names they have in MLflow, such as `eval.candidate.loss`."""
        kinds = ("loss", "perplexity", "loss_per_character", "similarity", "probe_accuracy")
        found = {f"eval.{name}.{kind}": getattr(score, kind) for name, score in self.models.items() for kind in kinds}
        return {name: float(value) for name, value in found.items() if value is not None}


def set_loss(score: Score, total: float, tokens: int, characters: int) -> None:
    """Put a summed loss into a score as the means that it is shown as; what is not finite is left out."""
    score.tokens, score.characters = tokens, characters
    if tokens == 0 or not math.isfinite(total):
        return
    score.loss = total / tokens
    score.perplexity = math.exp(min(score.loss, _MOST_PERPLEXITY))
    score.loss_per_character = total / characters if characters else None
