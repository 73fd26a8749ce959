"""Whether a trained model is good enough to be deployed."""

from __future__ import annotations

from collections.abc import Iterator

from shared.runs.context import Context, Held
from shared.runs.evaluation import live_run
from shared.runs.options import QualityOptions
from shared.runs.parts import ModelScore
from shared.runs.quality_options import IGNORE
from shared.runs.record import Run

LOSS, LIVE, ROWS, UNKNOWN = "quality_loss", "quality_live", "quality_rows", "quality_unknown"
"""The reasons of holds: the loss is too high; the live model is better, or cannot be compared; too few test rows; the
evaluation that is asked for is missing."""


def gate(context: Context) -> Held | None:
    """registered: hold a run whose model does not reach what `quality` asks for; None: it may be deployed.

    A run is held for the first thing not met that nobody has approved; its message says the others too.
    """
    run, wanted = context.run, context.options.quality
    holds: list[Held] = []
    for found in unmet(run, wanted, live_run(context) if wanted.must_beat_live else None):
        if isinstance(found, str):
            run.note(found)
        elif found.reason not in run.approved:
            holds.append(found)
    if not holds:
        return None
    message = " ".join([*(hold.message for hold in holds), "Approve the run to deploy it all the same."])
    return Held(holds[0].reason, message)


def unmet(run: Run, wanted: QualityOptions, live: Run | None) -> Iterator[Held | str]:
    """Yield what a run's model does not reach, and remarks for people on what was let pass. Pure.

    Args: live: the run whose model serves the project now; None: there is none to beat.
    """
    if wanted.max_eval_loss is None and wanted.min_rows is None and not (wanted.must_beat_live and live):
        return
    ours = run.evaluation.candidate if run.evaluation else None
    if ours is None or ours.loss is None:
        yield Held(UNKNOWN, f"The quality of the trained model is not known: {_why_unknown(run)}")
        return
    if wanted.min_rows is not None and ours.rows < wanted.min_rows:
        yield Held(
            ROWS, f"The trained model was evaluated on {_rows(ours)}; quality.min_rows asks for {wanted.min_rows}."
        )
    if wanted.max_eval_loss is not None and ours.loss > wanted.max_eval_loss:
        yield Held(
            LOSS,
            f"The trained model's loss is {ours.loss:.4g} on {_rows(ours)}; "
            f"quality.max_eval_loss allows {wanted.max_eval_loss:g}.",
        )
    if wanted.must_beat_live and live is not None:
        found = _against_live(run, ours, live, wanted)
        if found is not None:
            yield found


def _why_unknown(run: Run) -> str:
    evaluation = run.evaluation
    if evaluation is None:
        return "the run was not evaluated. Set evaluate (or EVALUATE) to true and train again."
    score = evaluation.candidate
    return (score.error if score else None) or evaluation.error or "its loss is not a finite number."


def _against_live(run: Run, ours: ModelScore, live: Run, wanted: QualityOptions) -> Held | str | None:
    """Compare with the model that is live, on the same rows; where that is not possible, go by the option."""
    evaluation = run.evaluation
    measured = evaluation.live if evaluation and evaluation.compared_with == live.id else None
    same_rows = run.test_sha256 is not None and run.test_sha256 == live.test_sha256
    if measured is not None and measured.loss is not None:
        worse = _worse(ours, measured, live)
        if worse is None or not may_know_rows(run, live):
            return Held(LIVE, worse) if worse else None
        why = f"{worse} But run {live.id} may have been trained on rows that this run tests with."
    elif same_rows:
        theirs = live.evaluation.candidate if live.evaluation else None
        if theirs is None or theirs.loss is None:
            return Held(UNKNOWN, f"How good the live model of run {live.id} is on these test rows is not known.")
        worse = _worse(ours, theirs, live)
        return Held(LIVE, worse) if worse else None
    else:
        since = "went live after this run was submitted" if measured is None else "could not be measured"
        why = f"The model of run {live.id} {since}, and was tested on other rows than this run's."
    if wanted.different_test_sets == IGNORE:
        return f"Not compared with the live model: {why} quality.different_test_sets is ignore."
    return Held(LIVE, f"The trained model cannot be compared with the live one: {why}")


def _worse(ours: ModelScore, theirs: ModelScore, live: Run) -> str | None:
    """Say by what the trained model is worse than the live one; None when it is not.

    Losses are means over tokens: only of models that see the same tokens can they be compared.
    """
    if ours.tokenization == theirs.tokenization:
        kind, a, b = "loss", ours.loss, theirs.loss
    elif ours.loss_per_character is not None and theirs.loss_per_character is not None:
        kind = "loss per character (the models do not see the same tokens)"
        a, b = ours.loss_per_character, theirs.loss_per_character
    else:
        kind, a, b = "answers' similarity to the true ones", ours.similarity, theirs.similarity
        if not _is_above(b, a):
            return None
        return _comparison(kind, a, b, ours, live)
    return _comparison(kind, a, b, ours, live) if _is_above(a, b) else None


def _comparison(kind: str, a: float | None, b: float | None, ours: ModelScore, live: Run) -> str:
    return (
        f"The trained model's {kind} is {a:.4g} on {_rows(ours)}; that of the live model of run {live.id} is {b:.4g}."
    )


def _is_above(a: float | None, b: float | None) -> bool:
    return a is not None and b is not None and a > b


def may_know_rows(run: Run, live: Run) -> bool:
    """Tell whether the live model may have been trained on rows that a run tests with.

    Not if both have the same test rows; nor if both were split by the same rule: it goes by a hash of the prompt, so a
    prompt that is below one fraction's limit is below that of a larger fraction too.
    """
    if run.test_sha256 is not None and run.test_sha256 == live.test_sha256:
        return False
    if run.split is None or live.split is None:
        return True
    return run.split.seed != live.split.seed or run.split.test_fraction > live.split.test_fraction


def _rows(score: ModelScore) -> str:
    return "1 test row" if score.rows == 1 else f"{score.rows} test rows"
