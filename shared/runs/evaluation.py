"""What a run's job measured of the trained model: asked for with the job, taken over when it has ended."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shared import typed
from shared.azureml import registration
from shared.azureml.evaluation import EvaluationStep
from shared.evaluation.results import BASE, CANDIDATE, LIVE, Results, Score
from shared.runs.context import Context
from shared.runs.names import PREPARED
from shared.runs.package import bring, evaluation_package
from shared.runs.parts import Evaluation, ModelScore
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.runs.status import RESULTS

_MOST_LIVE = 50
"""Live runs of one project that are looked at for the newest one."""


def stage(context: Context) -> EvaluationStep | None:
    """prepared: put what the job's evaluation step needs in its place.

    Returns: the step; None when the run is not to be evaluated. Raises: TransientError, StepError.
    """
    if not context.options.evaluate:
        return None
    services, live = context.services, live_run(context)
    model = None
    if live is not None and live.model_name and live.model_version:
        # A model that was deleted would have the whole job refused.
        model = registration.find_model(services.azureml, live.model_name, live.model_version)
    return EvaluationStep(
        package=bring(services.blobs, evaluation_package()),
        results=f"{context.run.id}/{RESULTS}",
        live_model=model.id if model else None,
        live_run=live.id if live and model else None,
    )


def live_run(context: Context) -> Run | None:
    """Return the run whose model serves the project now: of several, the one that went live last."""
    run = context.run
    page = context.services.store.page(state=RunState.LIVE, project=run.project, size=_MOST_LIVE, token=None)
    others = [other for other in page.runs if other.id != run.id]
    return max(others, key=lambda other: other.state_since, default=None)


def adopt(context: Context) -> None:
    """trained: keep with the run what its job has measured, or why that is not known."""
    run = context.run
    data = context.services.blobs.read_small(PREPARED, f"{run.id}/{RESULTS}") if context.options.evaluate else None
    if data is not None:
        run.evaluation = _evaluation(run, data)
    elif context.options.evaluate:
        run.evaluation = Evaluation(error=f"{PREPARED}/{run.id}/{RESULTS} is not there: job {run.job_name} wrote none.")
    else:
        run.evaluation = None


def prompt_tokens(context: Context) -> Mapping[str, int]:
    """Return how many tokens the job made of the first held-out questions with the trained model's own chat template.

    Returns: by prompt id; nothing when the job did not count them.
    """
    run = context.run
    data = context.services.blobs.read_small(PREPARED, f"{run.id}/{RESULTS}")
    try:
        results = typed.decode(data, Results) if data is not None else None
    except msgspec.DecodeError:
        return {}
    if results is None or results.job != run.job_name or CANDIDATE not in results.models:
        return {}
    return results.models[CANDIDATE].prompt_tokens


def _evaluation(run: Run, data: bytes) -> Evaluation:
    try:
        results = typed.decode(data, Results)
    except msgspec.DecodeError as fault:
        return Evaluation(error=f"{PREPARED}/{run.id}/{RESULTS} cannot be read: {fault}")
    if results.job != run.job_name:
        # An earlier job's numbers must not be taken for this one's.
        return Evaluation(
            error=f"{PREPARED}/{run.id}/{RESULTS} was written by job {results.job}; job {run.job_name} wrote none."
        )
    error = results.error
    if results.test_sha256 not in (None, run.test_sha256):
        error = f"The job read another test.jsonl ({results.test_sha256}) than was prepared ({run.test_sha256})."
    scores = {name: _score(score) for name, score in results.models.items()}
    return Evaluation(
        base=scores.get(BASE),
        candidate=scores.get(CANDIDATE),
        live=scores.get(LIVE),
        compared_with=results.live_run,
        rows_test=results.rows_test,
        error=error,
    )


def _score(score: Score) -> ModelScore:
    return ModelScore(
        loss=score.loss,
        perplexity=score.perplexity,
        loss_per_character=score.loss_per_character,
        similarity=score.similarity,
        probe_accuracy=score.probe_accuracy,
        rows=score.rows,
        tokenization=score.tokenization,
        error=score.error,
    )
