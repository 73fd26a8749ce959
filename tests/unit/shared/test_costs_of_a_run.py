"""What a run has cost: spells of jobs and deployments, added up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.azureml.job_times import JobTimes, add_up
from shared.runs.costs import Costs, Estimate, Spell, What
from shared.runs.parts import DatasetVersion
from shared.runs.record import new_run
from shared.runs.states import RunState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def spell(name: str = "job", *, what: What = What.TRAINING, usd: float | None = 3.0, at: datetime = NOW) -> Spell:
    return Spell(what=what, name=name, instance_type="Standard_X", machines=2, usd_per_hour=usd, started_at=at)


def endpoint(usd: float | None = 1.0, at: datetime = NOW) -> Spell:
    return spell("bot/blue", what=What.ENDPOINT, usd=usd, at=at)


def test_a_run_that_made_nothing_cost_nothing() -> None:
    costs = Costs().at(NOW)
    assert (costs.training_usd, costs.endpoint_usd, costs.total_usd, costs.as_of) == (0, 0, 0, NOW)
    assert costs.sentence() == ""


def test_hours_times_machines_times_price_is_added_up_until_now() -> None:
    costs = Costs().begun(spell()).begun(endpoint()).at(NOW + HOUR * 1.5)
    assert (costs.training_usd, costs.endpoint_usd, costs.total_usd) == (9, 3, 12)
    assert costs.sentence() == (
        "Until 2026-11-24 13:30 UTC it has cost about 12.00 USD: 9.00 for training, 3.00 for its endpoint "
        "(list prices)."
    )


def test_what_has_ended_costs_no_more() -> None:
    costs = Costs().begun(spell()).ended([What.TRAINING], NOW + HOUR).at(NOW + 9 * HOUR)
    assert costs.training_usd == 6
    assert costs.ended([What.TRAINING], NOW + 9 * HOUR).at(NOW + 9 * HOUR).training_usd == 6


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    costs = Costs().begun(spell()).begun(endpoint(usd=None)).at(NOW + HOUR)
    assert (costs.training_usd, costs.endpoint_usd, costs.total_usd) == (6, None, None)
    assert costs.unknown == ["Standard_X"]
    assert costs.sentence() == "What it has cost is not known: there is no price for Standard_X here."


def test_beginning_twice_is_beginning_once() -> None:
    costs = Costs().begun(spell()).begun(spell(at=NOW + HOUR))
    assert len(costs.spells) == 1
    assert costs.at(NOW + HOUR).training_usd == 6


def test_an_endpoint_brought_back_adds_to_its_spell_without_the_time_between() -> None:
    costs = Costs()
    for day in range(100):
        at = NOW + timedelta(days=day)
        costs = costs.begun(endpoint(at=at)).ended([What.ENDPOINT], at + HOUR)
    assert len(costs.spells) == 1
    assert costs.at(NOW + timedelta(days=200)).endpoint_usd == 200


def test_another_size_takes_the_place_of_the_one_before() -> None:
    other = msgspec.structs.replace(endpoint(at=NOW + HOUR), instance_type="Standard_Y", usd_per_hour=10.0)
    costs = Costs().begun(endpoint()).begun(other).at(NOW + 2 * HOUR)
    assert costs.endpoint_usd == 2 + 20


def test_a_second_job_is_added_to_the_first() -> None:
    costs = Costs().begun(spell("job")).ended([What.TRAINING], NOW + HOUR)
    costs = costs.begun(spell("job-2", at=NOW + 5 * HOUR)).at(NOW + 6 * HOUR)
    assert costs.training_usd == 12


@pytest.mark.parametrize(
    ("over", "running_since", "ended", "hours"),
    [
        (0, None, None, 0),  # it waits for machines still
        (0, 2, None, 1),
        (1, 2, None, 2),
        (1, None, None, 1),  # the next step waits
        (1, None, 2, 1),
        (0, None, 2, 0),  # cancelled before it had any machine
        (1, 2, 2, 1),
        (0, 4, None, 0),  # two clocks
    ],
)
def test_the_times_of_a_jobs_steps_replace_those_of_the_run(
    over: int, running_since: int | None, ended: int | None, hours: int
) -> None:
    now = NOW + 3 * HOUR
    running_at, ended_at = (None if h is None else NOW + h * HOUR for h in (running_since, ended))
    costs = Costs().begun(spell()).measured("job", JobTimes(over, running_at, ended_at), now)
    assert costs.at(now).training_usd == 6 * hours
    assert costs.spells[0].measured == (ended is not None)


def test_only_steps_that_run_on_machines_are_counted() -> None:
    def step(run_id: str, start: str | None, end: str | None, parent: str = "job", name: str = "") -> dict[str, Any]:
        return {"runId": run_id, "parentRunId": parent, "displayName": name, "startTimeUtc": start, "endTimeUtc": end}

    day = "2023-02-12T"
    below = [
        step("component", f"{day}00:00:00.0000000+00:00", None),
        step("reused", f"{day}04:00:00.9345759+00:00", f"{day}04:00:00.9345759+00:00", "component"),
        step("import", f"{day}04:00:00.9345759+00:00", f"{day}05:30:00.9345759+00:00", "component"),
        step("prepare", f"{day}01:00:00.0000000+00:00", f"{day}04:00:00.0000000+00:00", name="prepare_dataset"),
        step("finetune", f"{day}06:00:00.1234567+00:00", None, "component"),
        step("convert", None, None, "component"),
        step("odd", "yesterday", None, "component"),
    ]
    times = add_up({"endTimeUtc": None}, below, without="prepare_dataset")
    assert times == JobTimes(1.5, datetime(2023, 2, 12, 6, 0, 0, 123456, tzinfo=UTC), None)


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.TRAINED])
def test_a_run_that_leaves_its_training_ends_its_spell(state: RunState) -> None:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=NOW, size=1)
    run = new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=NOW, trigger="blob")
    run.state = RunState.PREPARED
    run.costs = run.costs.begun(spell())
    run.move(RunState.TRAINING, now=NOW + HOUR, trigger="timer", reason="submitted")
    assert run.costs.spells[0].ended_at is None
    run.move(state, now=NOW + 2 * HOUR, trigger="timer", reason="over")
    assert (run.costs.training_usd, run.costs.spells[0].ended_at) == (12, NOW + 2 * HOUR)


def test_an_endpoint_is_paid_for_until_the_run_is_retired() -> None:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=NOW, size=1)
    run = new_run("bot-20261124000000-0123abcd", "bot", dataset, {}, now=NOW, trigger="blob")
    run.state = RunState.DEPLOYING
    run.costs = run.costs.begun(endpoint())
    for hours, state in enumerate((RunState.VERIFYING, RunState.LIVE, RunState.RETIRED), start=1):
        run.move(state, now=NOW + hours * HOUR, trigger="timer", reason="on")
    assert run.costs.endpoint_usd == 6
    assert run.costs.at(NOW + 99 * HOUR).total_usd == 6


def test_an_estimate_is_said_with_its_price_and_day() -> None:
    known = Estimate(
        made_at=NOW,
        instance_type="Standard_X",
        nodes=2,
        hours_low=0.5,
        hours_high=2,
        usd_per_hour=3,
        usd_low=3,
        usd_high=12,
        price_region="eastus",
        price_as_of="2026-11-24",
    )
    assert known.sentence() == (
        "The training will probably cost 3.00 to 12.00 USD: 0.5 to 2.0 hours on 2 x Standard_X, of which one costs "
        "3.00 USD an hour (list price in eastus as of 2026-11-24)."
    )
    unknown = Estimate(made_at=NOW, instance_type="Standard_X", nodes=1, unknown=["No price for it."])
    assert unknown.sentence() == "What the training will cost is not known. No price for it."
