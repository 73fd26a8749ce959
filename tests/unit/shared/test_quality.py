"""The gate's table: what is held, for which reason, at and just beyond each bound."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.errors import OptionsError
from shared.runs.context import Held
from shared.runs.options import QualityOptions, checked
from shared.runs.parts import DatasetVersion, Evaluation, ModelScore, SplitRule
from shared.runs.quality import LIVE, LOSS, ROWS, UNKNOWN, may_know_rows, unmet
from shared.runs.record import Run, new_run

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BEAT = QualityOptions(must_beat_live=True)
IGNORING = QualityOptions(must_beat_live=True, different_test_sets="ignore")


def score(loss: float | None = 1.5, rows: int = 20, **more: Any) -> ModelScore:
    characters = loss / 4 if loss is not None else None
    return ModelScore(**{"loss": loss, "loss_per_character": characters, "rows": rows, "tokenization": "a", **more})


def run(name: str = "ours", evaluation: Evaluation | None = None, **more: Any) -> Run:
    dataset = DatasetVersion(container="datasets", blob=f"{name}.jsonl", etag="1", modified_at=NOW, size=1)
    made = new_run(name, "bot", dataset, {}, now=NOW, trigger="test")
    made.test_sha256, made.split = "rows", SplitRule(seed=0, test_fraction=0.1)
    made.evaluation = evaluation
    for field, value in more.items():
        setattr(made, field, value)
    return made


def measured(ours: ModelScore, theirs: ModelScore | None = None, *, live: str = "theirs") -> Run:
    """A run whose job compared its model with that of the live run."""
    return run(evaluation=Evaluation(candidate=ours, live=theirs, compared_with=live))


def reasons(run: Run, wanted: QualityOptions, live: Run | None = None) -> list[str]:
    return [found.reason if isinstance(found, Held) else "note" for found in unmet(run, wanted, live)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, []),
        ({"max_eval_loss": 1.5}, []),
        ({"max_eval_loss": 1.499}, [LOSS]),
        ({"min_rows": 20}, []),
        ({"min_rows": 21}, [ROWS]),
        ({"min_rows": 21, "max_eval_loss": 1.0}, [ROWS, LOSS]),
        ({"must_beat_live": True}, []),
        ({"must_beat_live": False, "different_test_sets": "hold"}, []),
    ],
)
def test_each_bound_holds_just_beyond_it(wanted: dict[str, Any], expected: list[str]) -> None:
    assert reasons(measured(score()), QualityOptions(**wanted)) == expected


@pytest.mark.parametrize(
    "evaluation",
    [None, Evaluation(error="It was killed."), Evaluation(candidate=score(None)), Evaluation(base=score())],
)
def test_what_is_not_known_is_held_only_for_what_is_asked(evaluation: Evaluation | None) -> None:
    ours = run(evaluation=evaluation)
    assert reasons(ours, QualityOptions()) == []
    assert reasons(ours, BEAT) == []  # nothing is live
    for wanted in (QualityOptions(max_eval_loss=9), QualityOptions(min_rows=1)):
        assert reasons(ours, wanted) == [UNKNOWN]
    assert reasons(ours, BEAT, run("theirs")) == [UNKNOWN]


@pytest.mark.parametrize(("ours", "expected"), [(1.5, []), (1.501, [LIVE]), (1.499, [])])
def test_the_live_model_must_not_be_better(ours: float, expected: list[str]) -> None:
    assert reasons(measured(score(ours), score(1.5)), BEAT, run("theirs")) == expected


def test_the_message_says_both_numbers_and_whose_they_are() -> None:
    (held,) = unmet(measured(score(1.75), score(1.5)), BEAT, run("theirs"))
    assert isinstance(held, Held)
    assert held.message == (
        "The trained model's loss is 1.75 on 20 test rows; that of the live model of run theirs is 1.5."
    )


def test_models_that_see_other_tokens_are_compared_per_character() -> None:
    other = {"tokenization": "b"}
    better, worse = score(3.0, **other, loss_per_character=0.4), score(3.0, **other, loss_per_character=0.3)
    assert reasons(measured(score(1.5), better), BEAT, run("theirs")) == []  # 1.5 / 4 = 0.375
    assert reasons(measured(score(1.5), worse), BEAT, run("theirs")) == [LIVE]
    (held,) = unmet(measured(score(1.5), worse), BEAT, run("theirs"))
    assert isinstance(held, Held)
    assert "do not see the same tokens" in held.message


def test_without_characters_the_answers_decide() -> None:
    def unlike(near: float) -> ModelScore:
        return score(9.0, tokenization="b", loss_per_character=None, similarity=near)

    ours = score(similarity=0.5)
    assert reasons(measured(ours, unlike(0.5)), BEAT, run("theirs")) == []
    assert reasons(measured(ours, unlike(0.51)), BEAT, run("theirs")) == [LIVE]


def test_a_run_that_went_live_meanwhile_is_compared_by_its_own_numbers_on_the_same_rows() -> None:
    ours = measured(score(1.5), score(1.0), live="before")
    for loss, expected in ((1.5, []), (1.49, [LIVE])):
        assert reasons(ours, BEAT, run("theirs", Evaluation(candidate=score(loss)))) == expected
    assert reasons(ours, BEAT, run("theirs")) == [UNKNOWN]


def test_other_test_rows_hold_the_run_or_are_ignored() -> None:
    theirs = run("theirs", Evaluation(candidate=score(9.0)), test_sha256="others")
    ours = measured(score(1.5), live="before")
    assert reasons(ours, BEAT, theirs) == [LIVE]
    assert reasons(ours, QualityOptions(must_beat_live=True, different_test_sets="hold"), theirs) == [LIVE]
    (note,) = unmet(ours, IGNORING, theirs)
    assert isinstance(note, str)
    assert "went live after this run was submitted, and was tested on other rows" in note


def test_a_live_model_that_may_have_learnt_the_test_rows_is_no_measure_unless_it_is_beaten() -> None:
    theirs = run("theirs", test_sha256="others", split=SplitRule(seed=7, test_fraction=0.1))
    assert reasons(measured(score(1.5), score(1.0)), BEAT, theirs) == [LIVE]
    assert reasons(measured(score(1.5), score(1.0)), IGNORING, theirs) == ["note"]
    assert reasons(measured(score(1.5), score(2.0)), BEAT, theirs) == []


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ({}, False),
        ({"test_sha256": "others"}, False),
        ({"test_sha256": "others", "split": SplitRule(seed=0, test_fraction=0.2)}, False),
        ({"test_sha256": "others", "split": SplitRule(seed=0, test_fraction=0.05)}, True),
        ({"test_sha256": "others", "split": SplitRule(seed=1, test_fraction=0.1)}, True),
        ({"test_sha256": "others", "split": None}, True),
    ],
)
def test_rows_are_unknown_to_a_model_that_was_split_by_the_same_rule(theirs: dict[str, Any], expected: bool) -> None:
    assert may_know_rows(run(), run("theirs", **theirs)) is expected


@pytest.mark.parametrize(
    ("quality", "fault"),
    [
        ({"max_eval_loss": 0}, "quality.max_eval_loss is 0, expected a number above 0"),
        ({"max_eval_loss": float("nan")}, "quality.max_eval_loss is nan"),
        ({"min_rows": 0}, "quality.min_rows is 0, expected 1 to 200"),
        ({"min_rows": 201}, "quality.min_rows is 201"),
        ({"different_test_sets": "maybe"}, "quality.different_test_sets is 'maybe', expected hold or ignore"),
    ],
)
def test_values_out_of_range_are_refused(quality: dict[str, Any], fault: str) -> None:
    with pytest.raises(OptionsError, match=fault):
        checked({"quality": quality}, "finetune.yaml")


def test_values_at_the_ends_of_the_range_are_taken() -> None:
    wanted = {"max_eval_loss": 0.001, "min_rows": 200, "different_test_sets": "ignore", "must_beat_live": True}
    assert checked({"quality": wanted}, "finetune.yaml")["quality"] == wanted


def test_an_evaluation_survives_the_record() -> None:
    before = measured(score(), score(2.0))
    assert msgspec.json.decode(msgspec.json.encode(before), type=Run).evaluation == before.evaluation
