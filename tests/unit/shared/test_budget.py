"""Every decision about money, just under and just over its bound."""

from datetime import UTC, datetime

import pytest

from shared.errors import OptionsError
from shared.runs import budget
from shared.runs.costs import Estimate
from shared.runs.options import checked, effective
from shared.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def estimated(low: float | None, high: float | None, usd_per_hour: float | None = 4.0) -> Estimate:
    return Estimate(
        made_at=NOW,
        instance_type="Standard_X",
        nodes=1,
        hours_low=1,
        hours_high=2,
        usd_per_hour=usd_per_hour,
        usd_low=low,
        usd_high=high,
    )


@pytest.mark.parametrize(
    ("high", "spent", "hold_above", "held"),
    [
        (10.0, 0.0, None, False),
        (9.99, 0.0, 10, False),
        (10.0, 0.0, 10, False),
        (10.01, 0.0, 10, True),
        (6.0, 4.0, 10, False),
        (6.0, 4.01, 10, True),
        (0.01, 0.0, 0, True),
        (None, 0.0, 1e9, True),
        (5.0, None, 10, True),
        (None, 0.0, None, False),
    ],
)
def test_the_high_end_decides_whether_a_person_is_asked(
    high: float | None, spent: float | None, hold_above: float | None, held: bool
) -> None:
    assert (budget.needs_approval(estimated(high and 1, high), spent, hold_above) is not None) == held


@pytest.mark.parametrize(
    ("low", "spent", "max_per_run", "refused"),
    [
        (10.0, 0.0, None, False),
        (9.99, 0.0, 10, False),
        (10.0, 0.0, 10, False),
        (10.01, 0.0, 10, True),
        (6.0, 4.0, 10, False),
        (6.0, 4.01, 10, True),
        (None, 0.0, 10, False),
        (5.0, None, 10, False),
    ],
)
def test_the_low_end_decides_whether_a_training_begins(
    low: float | None, spent: float | None, max_per_run: float | None, refused: bool
) -> None:
    assert (budget.is_too_dear(estimated(low, low and 1e6), spent, max_per_run) is not None) == refused


@pytest.mark.parametrize(
    ("spent", "max_per_run", "ended"),
    [(9.99, 10, False), (10.0, 10, False), (10.01, 10, True), (1e6, None, False), (None, 10, False)],
)
def test_what_was_spent_decides_whether_a_training_goes_on(
    spent: float | None, max_per_run: float | None, ended: bool
) -> None:
    assert (budget.is_spent(spent, max_per_run) is not None) == ended


def test_a_limit_that_cannot_be_watched_over_is_said() -> None:
    assert budget.cannot_be_kept(estimated(None, None, None), 5) == (
        "max_per_run, 5.00 USD, cannot be watched over: there is no list price for Standard_X here."
    )
    assert budget.cannot_be_kept(estimated(None, None, None), None) is None
    assert budget.cannot_be_kept(estimated(1, 2), 5) is None


@pytest.mark.parametrize("name", ["hold_above", "max_per_run"])
@pytest.mark.parametrize(("amount", "good"), [(0, True), (-0.01, False), (1e9, True), (1.1e9, False), ("nan", False)])
def test_amounts_of_a_budget_are_checked(name: str, amount: float | str, good: bool) -> None:
    if good:
        assert checked({"budget": {name: amount}}, "options") == {"budget": {name: float(amount)}}
    else:
        with pytest.raises(OptionsError, match=rf"budget\.{name} is .*, expected an amount of US dollars"):
            checked({"budget": {name: amount}}, "options")


def test_a_runs_own_budget_goes_over_the_settings() -> None:
    settings = Settings.load(
        {
            "AZURE_SUBSCRIPTION_ID": "s",
            "AZURE_RESOURCE_GROUP": "g",
            "AZUREML_WORKSPACE_NAME": "w",
            "DATASET_STORAGE": "x",
            "ADVANCE_SCHEDULE": "0 * * * * *",
            "SWEEP_SCHEDULE": "0 */15 * * * *",
            "HOLD_ABOVE": "20",
            "MAX_PER_RUN": "100",
        }
    )
    own = effective({"budget": {"hold_above": 0}}, settings).budget
    assert (own.hold_above, own.max_per_run) == (0, 100)
