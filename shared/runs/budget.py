"""Whether a training is within what people are ready to pay. Pure; every answer is a sentence for them, or None.

hold_above asks a person first, and goes by the high end of the estimate: what it may cost. max_per_run ends a run, and
goes by the low end before the training, because an estimate is a wide range and a run that may well stay below should
not be refused, and by what was really spent during it. Exactly the amount is within it, for both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from shared.runs.costs import Estimate

MOST = 1e9


def faults(hold_above: float | None, max_per_run: float | None) -> Iterator[str]:
    """Yield what is wrong with a budget's amounts."""
    for name, amount in (("hold_above", hold_above), ("max_per_run", max_per_run)):
        if amount is not None and not (math.isfinite(amount) and 0 <= amount <= MOST):
            yield f"budget.{name} is {amount:g}, expected an amount of US dollars from 0 to {MOST:,.0f}"


def needs_approval(estimate: Estimate, spent: float | None, hold_above: float | None) -> str | None:
    """Say why a person has to decide before the training."""
    if hold_above is None:
        return None
    if estimate.usd_high is None or spent is None:
        return f"{estimate.sentence()} With hold_above {hold_above:,.2f} USD, a training of unknown price waits."
    if spent + estimate.usd_high <= hold_above:
        return None
    return f"{estimate.sentence()} {_already(spent)}That may be more than hold_above, {hold_above:,.2f} USD."


def is_too_dear(estimate: Estimate, spent: float | None, max_per_run: float | None) -> str | None:
    """Say why the training must not begin, or not go on: not even the low end is within the limit."""
    if max_per_run is None or estimate.usd_low is None or spent is None or spent + estimate.usd_low <= max_per_run:
        return None
    return (
        f"{estimate.sentence()} {_already(spent)}Even the low end is more than max_per_run, {max_per_run:,.2f} USD. "
        "Train on fewer rows (sample_percent), for fewer epochs or on another size, or raise the limit "
        "(budget.max_per_run, MAX_PER_RUN); no approval helps."
    )


def is_spent(spent: float | None, max_per_run: float | None) -> str | None:
    """Say why a training that goes on has to end."""
    if max_per_run is None or spent is None or spent <= max_per_run:
        return None
    return (
        f"The training has cost {spent:,.2f} USD, which is more than max_per_run, {max_per_run:,.2f} USD. Train on "
        "fewer rows (sample_percent), for fewer epochs or on another size, or raise the limit (budget.max_per_run, "
        "MAX_PER_RUN): a retry of the same training would end the same way."
    )


def cannot_be_kept(estimate: Estimate, max_per_run: float | None) -> str | None:
    """Say that nobody can watch a limit, because what an hour costs is not known."""
    if max_per_run is None or estimate.usd_per_hour is not None:
        return None
    return (
        f"max_per_run, {max_per_run:,.2f} USD, cannot be watched over: there is no list price for "
        f"{estimate.instance_type} here."
    )


def _already(spent: float) -> str:
    return f"{spent:,.2f} USD were spent on earlier attempts. " if spent > 0 else ""
