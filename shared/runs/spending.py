"""What a run will cost and has cost, and whether that is still within what people are ready to pay."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from shared.azureml import jobs
from shared.azureml.job_times import times_of
from shared.azureml.preparation import NODE
from shared.errors import OverBudgetError, StepError, TransientError
from shared.runs import budget, names, quotas, reports
from shared.runs.context import Context, Held, Waiting
from shared.runs.costs import Estimate, Spell, What
from shared.runs.parts import PreparedBy
from shared.runs.quotas import nodes_of
from shared.runs.record import Run

if TYPE_CHECKING:
    from shared.dataset.page import Training

LOW_PRIORITY_SHARE = 0.2
"""The least that a node of low priority costs, as a share of a dedicated one's price: Azure gives up to 80 % off."""
_log = logging.getLogger(__name__)


def check(context: Context) -> Held | Waiting | None:
    """prepared: hold a run that is too dear or that there is no quota for; None: it may be submitted.

    A job that was submitted already, by a worker that came no further, is not asked for again: it is paid for.
    Raises: OverBudgetError: not even the low end of the price is within max_per_run.
    """
    run, limits = context.run, context.options.budget
    if _is_submitted(context):
        return None
    run.estimate = _estimate(context)
    spent = run.costs.at(context.now).training_usd
    if fault := budget.is_too_dear(run.estimate, spent, limits.max_per_run):
        raise OverBudgetError(fault)
    if "budget" not in run.approved and (why := budget.needs_approval(run.estimate, spent, limits.hold_above)):
        return Held("budget", f"{why} POST /api/runs/{run.id}/approve lets it go on.")
    if note := budget.cannot_be_kept(run.estimate, limits.max_per_run):
        run.note(note)
    return quotas.check(context)


def training_begins(context: Context) -> None:
    """prepared: from the submit on, the job may cost. Idempotency: the job's name."""
    run = context.run
    assert run.plan is not None, "a run that is submitted has a plan"
    assert run.job_name is not None, "a run that is submitted has a job's name"
    spell = _spell(context, What.TRAINING, run.job_name, run.plan.instance_type, nodes_of(run.plan))
    run.costs = run.costs.begun(spell)


def deployment_begins(context: Context) -> None:
    """deploying: from the creation on, the deployment costs. Idempotency: endpoint, deployment and VM size."""
    run = context.run
    assert run.plan is not None, "a deploying run has a plan"
    name = f"{run.endpoint}/{run.deployment}"
    instances = context.options.serving_instance_count
    run.costs = run.costs.begun(_spell(context, What.ENDPOINT, name, run.plan.serving_instance_type, instances))


def watch(context: Context) -> None:
    """training: end a job that has cost more than it may.

    Raises: OverBudgetError: the job is being cancelled.
    """
    run, limit = context.run, context.options.budget.max_per_run
    assert run.job_name is not None, "a training run has a job"
    fault = _fault_of_late_estimate(context)
    if fault is None and budget.is_spent(_spent(context), limit) is not None:
        # Hours in which steps only wait for machines cost nothing; asked only now, because that takes some requests.
        measure(context)
        fault = budget.is_spent(_spent(context), limit)
    if fault is not None:
        jobs.cancel_job(context.services.azureml, run.job_name)
        raise OverBudgetError(f"Job {run.job_name} is being cancelled. {fault}")


def measure(context: Context) -> None:
    """Take the times of the job's own steps, if the run history tells; else the run's times stay. Never stops a run."""
    run = context.run
    spell = run.costs.of(What.TRAINING, str(run.job_name))
    if spell is None or spell.measured:
        return
    try:
        times = times_of(context.services.plane, spell.name, without=NODE)
    except (TransientError, StepError) as fault:
        _log.warning("run %s: the times of job %s could not be read: %s", run.id, spell.name, fault)
        return
    run.costs = run.costs.measured(spell.name, times, context.now)


def _is_submitted(context: Context) -> bool:
    run = context.run
    expected = names.job_name(run.id, run.job_retries)
    return run.job_name == expected and jobs.find_job(context.services.azureml, expected) is not None


def _spent(context: Context) -> float | None:
    return context.run.costs.at(context.now).training_usd


def _fault_of_late_estimate(context: Context) -> str | None:
    """Estimate what could not be estimated before: the job itself prepares the dataset, and now its rows are known."""
    run = context.run
    if run.estimate is None or run.estimate.from_report or run.test_sha256 is None:
        return None
    run.estimate = _estimate(context)
    return budget.is_too_dear(run.estimate, 0, context.options.budget.max_per_run)


def _estimate(context: Context) -> Estimate:
    from shared.costs import estimate, workload_of
    from shared.costs.machines import machine

    run = context.run
    assert run.plan is not None, "a run that is estimated has a plan"
    found = machine(run.plan.instance_type, context.services.settings.price(run.plan.instance_type))
    common: dict[str, Any] = {
        "made_at": context.now,
        "instance_type": run.plan.instance_type,
        "nodes": nodes_of(run.plan),
        "low_priority": run.plan.low_priority,
        "usd_per_hour": found.usd_per_hour,
        "price_region": found.region,
        "price_as_of": found.as_of,
    }
    report, plan = reports.existing_report(context.services.blobs, run.id), reports.expected_training(context)
    training = estimate(workload_of(report), plan) if report and plan else None
    if training is None:
        return Estimate(**common, from_report=report is not None, unknown=[_why_unknown(run)])
    return _of_training(training, common)


def _of_training(training: Training, common: dict[str, Any]) -> Estimate:
    hours, price, low_priority = training.hours, training.price_usd, common["low_priority"]
    assumptions = [*training.assumptions, _where(low_priority)] if price else training.assumptions
    return Estimate(
        **common,
        hours_low=hours.low if hours else None,
        hours_high=hours.high if hours else None,
        usd_low=round(price.low * (LOW_PRIORITY_SHARE if low_priority else 1), 2) if price else None,
        usd_high=price.high if price else None,
        unknown=[] if price else training.notes,
        assumptions=assumptions,
    )


def _where(low_priority: bool) -> str:
    if low_priority:
        return (
            f"Nodes of low priority cost {100 * LOW_PRIORITY_SHARE:g} to 100 % of the list price; what the run has "
            "cost is computed with 100 %. A node that is taken away makes the training take longer."
        )
    return "Serverless compute and dedicated nodes of a cluster cost the same: the list price of the VM size."


def _why_unknown(run: Run) -> str:
    if run.prepared_by == PreparedBy.JOB:
        return (
            "The job itself prepares the dataset, which is large: how many tokens it has shows when that is done. Then "
            "the price is estimated, and compared with max_per_run."
        )
    return "The dataset's report is not there, or one of the hyperparameters cannot be read."


def _spell(context: Context, what: What, name: str, size: str, machines: int) -> Spell:
    from shared.costs.machines import machine

    return Spell(
        what=what,
        name=name,
        instance_type=size,
        machines=machines,
        usd_per_hour=machine(size, context.services.settings.price(size)).usd_per_hour,
        started_at=context.now,
    )
