"""What a run is expected to cost and what it has cost, as the run keeps it. Pure: prices and times come in.

All amounts are list prices in US dollars, without tax and discounts: enough to decide by, not a bill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from shared.azureml.job_times import JobTimes


class What(StrEnum):
    """What is paid for by the hour."""

    TRAINING = "training"
    ENDPOINT = "endpoint"


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a training will probably take. None: not known, and `unknown` says why.

    usd_low, usd_high: hours times nodes times usd_per_hour; nodes of low priority cost less, so that usd_low is lower.
    from_report: whether the dataset's rows were known. price_region, price_as_of: of which region, and of which day;
    empty for a price of the app's own settings.
    """

    made_at: datetime
    instance_type: str
    nodes: int
    low_priority: bool = False
    from_report: bool = True
    hours_low: float | None = None
    hours_high: float | None = None
    usd_per_hour: float | None = None
    usd_low: float | None = None
    usd_high: float | None = None
    price_region: str = ""
    price_as_of: str = ""
    unknown: list[str] = []
    assumptions: list[str] = []

    def sentence(self) -> str:
        """Say it to people."""
        if self.usd_low is None or self.usd_high is None:
            return f"What the training will cost is not known. {' '.join(self.unknown)}".strip()
        return (
            f"The training will probably cost {self.usd_low:,.2f} to {self.usd_high:,.2f} USD: {self.hours_low:.1f} to "
            f"{self.hours_high:.1f} hours on {self.nodes} x {self.instance_type}, of which one costs "
            f"{self.usd_per_hour:,.2f} USD an hour ({self._whose_price()})."
        )

    def _whose_price(self) -> str:
        if not self.price_region:
            return "the app's setting PRICES"
        return f"list price in {self.price_region} as of {self.price_as_of}"


class Spell(msgspec.Struct, frozen=True, kw_only=True):
    """Machines that are paid for, from a moment to a moment; once more from a later one, with the hours before that.

    name: the job, or endpoint/deployment. usd_per_hour: of one machine, when the spell began; None: not known.
    measured: whether the hours are those of the job's own steps, and final.
    """

    what: What
    name: str
    instance_type: str
    machines: int
    usd_per_hour: float | None
    started_at: datetime
    ended_at: datetime | None = None
    hours_before: float = 0
    measured: bool = False

    def hours(self, now: datetime) -> float:
        """Hours for which one machine is paid for; never fewer than none, whatever two clocks say."""
        return self.hours_before + max(0.0, ((self.ended_at or now) - self.started_at).total_seconds() / 3600)

    def usd(self, now: datetime) -> float | None:
        """What that costs, None when the price is not known."""
        return None if self.usd_per_hour is None else self.hours(now) * self.machines * self.usd_per_hour


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has cost until `as_of`. None: a price is not known; `unknown` names the sizes.

    There is one spell for each job, and for each size that the deployment ran on: bringing an endpoint back adds to it.
    """

    spells: list[Spell] = []
    training_usd: float | None = 0
    endpoint_usd: float | None = 0
    total_usd: float | None = 0
    unknown: list[str] = []
    as_of: datetime | None = None

    def at(self, now: datetime) -> Costs:
        """Add up until now."""
        training, endpoint = (_sum(spell.usd(now) for spell in self.spells if spell.what == what) for what in What)
        sizes = (spell.instance_type for spell in self.spells if spell.usd_per_hour is None)
        return msgspec.structs.replace(
            self,
            training_usd=training,
            endpoint_usd=endpoint,
            total_usd=_sum([training, endpoint]),
            unknown=list(dict.fromkeys(sizes)),
            as_of=now,
        )

    def begun(self, spell: Spell) -> Costs:
        """Begin to pay. Idempotency: what, name and size of a spell that goes on; another size takes its place."""
        same = self.of(spell.what, spell.name)
        if same is not None and same.ended_at is None and same.instance_type == spell.instance_type:
            return self
        costs = self.ended([spell.what], spell.started_at)
        for old in costs.spells:
            if _goes_on(old, spell):
                spell = msgspec.structs.replace(spell, hours_before=old.hours(spell.started_at))
        return costs._with([old for old in costs.spells if not _goes_on(old, spell)] + [spell])

    def ended(self, whats: Collection[What], now: datetime) -> Costs:
        """End what goes on of these kinds."""
        return self._with([_ended(spell, now) if spell.what in whats else spell for spell in self.spells])

    def measured(self, job: str, times: JobTimes, now: datetime) -> Costs:
        """Take the times of a job's own steps. While none of them runs, it waits for machines and costs nothing."""

        def corrected(spell: Spell) -> Spell:
            if (spell.what, spell.name) != (What.TRAINING, job):
                return spell
            return msgspec.structs.replace(
                spell,
                hours_before=times.hours,
                started_at=(None if times.ended_at else times.running_since) or times.ended_at or now,
                ended_at=times.ended_at or spell.ended_at,
                measured=times.ended_at is not None,
            )

        return self._with([corrected(spell) for spell in self.spells])

    def of(self, what: What, name: str) -> Spell | None:
        """Return the newest spell of a name."""
        return next((spell for spell in reversed(self.spells) if (spell.what, spell.name) == (what, name)), None)

    def sentence(self) -> str:
        """Say it to people; nothing when nothing was paid for."""
        if not self.spells or self.as_of is None:
            return ""
        if self.total_usd is None:
            return f"What it has cost is not known: there is no price for {', '.join(self.unknown)} here."
        return (
            f"Until {self.as_of:%Y-%m-%d %H:%M} UTC it has cost about {self.total_usd:,.2f} USD: "
            f"{self.training_usd:,.2f} for training, {self.endpoint_usd:,.2f} for its endpoint (list prices)."
        )

    def _with(self, spells: list[Spell]) -> Costs:
        return msgspec.structs.replace(self, spells=spells)


def _goes_on(old: Spell, new: Spell) -> bool:
    def key(spell: Spell) -> tuple[object, ...]:
        return spell.what, spell.name, spell.instance_type, spell.machines, spell.usd_per_hour

    return key(old) == key(new)


def _ended(spell: Spell, now: datetime) -> Spell:
    return spell if spell.ended_at is not None else msgspec.structs.replace(spell, ended_at=now)


def _sum(amounts: Iterable[float | None]) -> float | None:
    total = 0.0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return round(total, 4)
