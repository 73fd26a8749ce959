"""Measure the models, one after the other: `python -m shared.evaluation.measure`, started by `step`.

What is known is written after every model, so that a process that is killed loses one model's numbers only.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from shared.evaluation.arguments import Arguments, parse
from shared.evaluation.folders import ModelFolderError
from shared.evaluation.probe import questions
from shared.evaluation.results import BASE, CANDIDATE, LIVE, Answer, Results, Score, set_loss
from shared.evaluation.rows import HeldOut, TestRows, prompt_tokens, read_test_set, tokenization, tokenize
from shared.evaluation.similarity import similarity

ANSWERS_ON_GPU, ANSWERS_ON_CPU = 20, 6
ANSWER_TOKENS_ON_GPU, ANSWER_TOKENS_ON_CPU = 128, 32
_LOSS_SHARE = 0.5
"""Of a model's time, what may go into its losses; the rest is for its answers."""


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, log. Returns: 0, whatever could not be measured."""
    asked = parse(arguments)
    os.environ.update({"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"})
    os.environ.update({"TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"})
    log_metrics(measure(asked))
    return 0


def measure(asked: Arguments) -> Results:
    """Measure every model on the same rows, the trained one first: if time runs out, it is known."""
    from shared.evaluation.model import device

    began = time.monotonic()
    test = read_test_set(asked.test, asked.rows)
    results = Results(asked.job, asked.live_run, test.sha256, test.rows_test, device())
    folders = {CANDIDATE: asked.candidate, BASE: asked.base, LIVE: asked.live}
    todo = {name: folder for name, folder in folders.items() if folder is not None}
    rows = test.rows
    for number, (name, folder) in enumerate(todo.items()):
        left = asked.time_limit_s - (time.monotonic() - began)
        score = _guarded(folder, replace(test, rows=rows), left / (len(todo) - number))
        results.models[name] = score
        if name == CANDIDATE and score.loss is not None:
            # The others are compared with it, so on no other rows.
            rows = rows[: score.rows + score.rows_skipped]
        results.seconds = round(time.monotonic() - began, 1)
        results.write(asked.out)
        _say(name, score)
    return results


def _guarded(folder: Path, test: TestRows, limit_s: float) -> Score:
    """Measure one model; what goes wrong with it is part of its score."""
    from shared.evaluation.model import free

    score, began = Score(), time.monotonic()
    try:
        _score(score, folder, test, limit_s)
    except (ModelFolderError, OSError) as fault:
        score.error = f"{type(fault).__name__}: {fault}"[:500]
    except Exception as fault:  # noqa: BLE001 - a model that cannot be measured must not fail a job that trained well
        # Without its message, which may quote a conversation.
        score.error = type(fault).__name__
        traceback.print_tb(fault.__traceback__)
    score.seconds = round(time.monotonic() - began, 1)
    free()
    return score


def _score(score: Score, folder: Path, test: TestRows, limit_s: float) -> None:
    from shared.evaluation.model import ChatModel, device

    began = time.monotonic()
    model = ChatModel(folder)
    score.prompt_tokens = prompt_tokens(model.tokenizer, test.first)
    tokens = [tokenize(model.tokenizer, row.messages) for row in test.rows]
    usable = [row for row in tokens if row is not None]
    losses = model.losses(usable, began + limit_s * _LOSS_SHARE)
    usable = usable[: len(losses)]
    score.rows, score.rows_skipped = len(usable), _skipped(tokens, len(usable))
    looked_at = tokens[: score.rows + score.rows_skipped]
    score.tokenization = tokenization(looked_at)
    set_loss(score, sum(total for total, _ in losses), sum(n for _, n in losses), sum(row.characters for row in usable))
    known = model.probe(questions())
    score.probe_questions = len(known)
    score.probe_accuracy = sum(known.values()) / len(known) if known else None
    if time.monotonic() < began + limit_s:
        is_cpu = device() == "cpu"
        count = ANSWERS_ON_CPU if is_cpu else ANSWERS_ON_GPU
        _answer(score, model, test.rows[:count], ANSWER_TOKENS_ON_CPU if is_cpu else ANSWER_TOKENS_ON_GPU)


def _skipped(tokens: Sequence[object | None], used: int) -> int:
    """Count the rows left out among those up to the last one used."""
    skipped = 0
    for row in tokens:
        if row is None:
            skipped += 1
        elif used == 0:
            break
        else:
            used -= 1
    return skipped


def _answer(score: Score, model: object, rows: Sequence[HeldOut], most_tokens: int) -> None:
    from shared.evaluation.model import ChatModel

    assert isinstance(model, ChatModel)
    answers = model.answers([row.messages[:-1] for row in rows], most_tokens)
    for row, answer in zip(rows, answers, strict=True):
        near = similarity(answer, row.messages[-1]["content"])
        score.answers.append(Answer(row.prompt_id, round(near, 3), len(answer)))
    if score.answers:
        score.similarity = sum(answer.similarity for answer in score.answers) / len(score.answers)


def log_metrics(results: Results) -> None:
    """Log the numbers to the step's own run, whose address Azure puts into the environment. Trouble there is said."""
    run_id = os.environ.get("MLFLOW_RUN_ID") or os.environ.get("AZUREML_RUN_ID")
    if not run_id or not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        from mlflow.entities import Metric
        from mlflow.tracking import MlflowClient

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in results.metrics().items()]
        MlflowClient().log_batch(run_id, metrics=metrics)
    except Exception as fault:  # noqa: BLE001 - whatever the client raises, the numbers are in evaluation.json
        sys.stderr.write(f"the numbers were not logged to MLflow: {type(fault).__name__}\n")


def _say(name: str, score: Score) -> None:
    told = {key: getattr(score, key) for key in ("loss", "perplexity", "similarity", "probe_accuracy", "rows")}
    numbers = ", ".join(f"{key} {value:.4g}" for key, value in told.items() if value is not None)
    sys.stderr.write(f"{name}: {score.error or numbers} ({score.seconds:.1f} s)\n")


if __name__ == "__main__":
    sys.exit(main())
