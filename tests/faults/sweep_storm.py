"""Lets sweeps go through trouble, one after the other, among strangers who ask and people who meddle."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError

from shared.errors import FinetuneError
from shared.runs.claim import Claim
from shared.runs.states import RunState
from shared.runs.store import RunStore
from shared.services import Services
from shared.sweeps import by_hand
from shared.sweeps.sweep import sweep
from tests.faults.sweep_weather import Weather, draw
from tests.faults.sweep_witness import Look, Witness
from tests.faults.sweep_world import GREEN, Subject, World, restarted
from tests.functional.app.mortal import DiedError, Stalled, mortal
from tests.functional.app.topic import Topic

ALIVE, ENDPOINTS = 8, 20
"""So many live at once, so many at least in all."""
LAGS = ((0.5, timedelta()), (0.1, timedelta(minutes=20)), (0.4, timedelta(minutes=3)))
"""Shares of a storm, and how far behind Azure Monitor is in each."""
PAUSES = (4, 7, 15, 30, 60, 60, 120, 300)
STALL = timedelta(minutes=4)
LIFE = 150
"""What a sweep does in its life, counted in uses of the clock, of the table and of Azure ML: most of it at least."""


@dataclass
class Storm:
    """One storm of sweeps, drawn by a seed. told: the kinds of weather that there were.

    What is drawn is the same for one seed, sweep and endpoint, whatever came of what was drawn before; how far a sweep
    comes before it dies, and which of two is faster, depends on the machine as well.
    """

    world: World
    topic: Topic
    seed: int
    sweeps: int = 0
    told: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.witness = Witness(self.world)
        self.services = self.world.app.services
        self._lag = timedelta()
        self._picture = self.world.picture()

    def rage(self, sweeps: int) -> None:
        """Let so many sweeps go by, then two fair ones, after which all is in order."""
        for share, lag in LAGS:
            if lag != self._lag:
                restarted(self.world.app, lag)
                self._lag = lag
            for _ in range(round(sweeps * share)):
                self._between()
                self._sweep(draw(self._chance("weather")))
        for _ in range(2):
            self.world.pass_time(timedelta(hours=6))
            self._sweep(Weather())
        self._all_is_told()

    def _chance(self, of_what: str) -> random.Random:
        return random.Random(f"{self.seed} {self.sweeps} {of_what}")

    # --- between two sweeps

    def _between(self) -> None:
        self.world.pass_time(timedelta(minutes=1))  # so that a sweep that died holds no run any more
        living = self._populate()
        chance = self._chance("pause")
        pause = timedelta(minutes=chance.choice(PAUSES))
        times = sorted(chance.random() for _ in range(3))
        for since, until in itertools.pairwise((0.0, *times)):
            self.world.pass_time(pause * (until - since) + timedelta(seconds=1))
            for subject in list(living):
                if self._happen(subject, self._chance(f"{subject.name} {until}")):
                    living.remove(subject)
        self.world.pass_time(pause * (1 - times[-1]) + timedelta(seconds=1))

    def _populate(self) -> list[Subject]:
        """See to it that enough endpoints live; return those that do."""
        chance, living = self._chance("endpoints"), self._living()
        gone = [subject for subject in self.world.subjects.values() if self._may_come_back(subject)]
        while len(living) < ALIVE:
            if gone and len(self.world.subjects) >= ENDPOINTS:
                subject = gone.pop(chance.randrange(len(gone)))
                self.world.bring_back(subject)
            else:
                idle_after, warn_for = chance.choice(("30m", "1h", "2h")), chance.choice(("0s", "20m", "1h", "1h"))
                action = chance.choice(("delete_endpoint",) * 4 + ("delete_deployment", "report"))
                subject = self.world.make(idle_after, warn_for, action, green=chance.random() < 0.3)
            living.append(subject)
        return living

    def _may_come_back(self, subject: Subject) -> bool:
        return self._picture.runs[subject.run_id].state == RunState.RETIRED

    def _living(self) -> list[Subject]:
        picture = self._picture
        return [
            subject
            for subject in self.world.subjects.values()
            if (subject.name, subject.main) in picture.deployments
            and picture.runs[subject.run_id].state == RunState.LIVE
        ]

    def _happen(self, subject: Subject, chance: random.Random) -> bool:
        """Let something happen to an endpoint, or nothing; returns whether it is gone by that."""
        world, dice = self.world, chance.random()
        if dice < 0.12:
            is_beside = subject.has_green and chance.random() < 0.4
            world.ask(subject, GREEN if is_beside else subject.main)
        elif dice < 0.17:
            world.chat(subject)
        elif dice < 0.18:
            hours = chance.choice((0, 1, 4))
            subject.keep_until = by_hand.keep(self.services, subject.name, hours)
        elif dice < 0.19:
            by_hand.remove_endpoint(self.services, subject.name, trigger="test", reason="by hand")
            subject.by_app += 1
            return True
        elif dice < 0.195:
            world.delete(subject)
            return True
        elif dice < 0.215:
            world.tag(subject, chance.choice(_TAGS))
        return False

    # --- a sweep

    def _sweep(self, weather: Weather) -> None:
        self.sweeps += 1
        self.told[weather.kind or str(weather)] += 1
        world, before, begin = self.world, self.world.picture(), self.world.now()
        self.topic.status = 503 if weather.topic_down else 200
        if weather.faults:
            world.app.cloud.faults(requests=list(weather.faults))
        try:
            is_whole = self._swept(weather)
        finally:
            if weather.faults:
                world.app.cloud.faults()
        is_fair = weather.is_fair and self._lag < timedelta(minutes=10)
        if weather.is_fair and not is_whole:
            self.witness.breaches.append(f"{begin} ({weather}): a fair sweep was not complete")
        end, self._picture = world.now(), world.picture()
        self.witness.see(Look(begin, end, before, self._picture, self._lag, is_fair, str(weather)))

    def _swept(self, weather: Weather) -> bool:
        services = self._services(weather)
        calls: list[Callable[[], Any]] = [lambda: sweep(services, trigger="storm")]
        if weather.two:
            calls.append(lambda: sweep(self.services, trigger="another"))
        with ThreadPoolExecutor(len(calls)) as pool:
            results = [pool.submit(call) for call in calls]
        return all(self._ended(result.result) for result in results)

    def _ended(self, result: Callable[[], Any]) -> bool:
        try:
            report = result()
            self.witness.heard(report)
            return bool(report.complete)
        except DiedError:
            self.told["died"] += 1
            return False
        except (FinetuneError, AzureError) as fault:
            self.told[f"ended by {type(fault).__name__}"] += 1
            return False

    def _services(self, weather: Weather) -> Services:
        services = self.services
        if weather.asked_at_the_door:
            services = replace(services, store=Doorkeeper(services, self._knock))
        if weather.dies is not None:
            return mortal(services, round(weather.dies * LIFE))
        if weather.stalls is not None:
            calls, at = itertools.count(), round(weather.stalls * 40)
            stalled: Any = Stalled(services.azureml, lambda: next(calls) >= at, self._go_by)
            return replace(services, azureml=stalled)
        return services

    def _knock(self, run_id: str) -> None:
        """Ask an endpoint just before the sweep holds it, to remove it."""
        for subject in self.world.subjects.values():
            if subject.run_id == run_id and self._chance(f"{subject.name} at the door").random() < 0.5:
                self.world.ask(subject, subject.main)

    def _go_by(self) -> None:
        """Let the lease of a sweep run out, and another one do all of its work."""
        self.world.pass_time(STALL)
        with suppress(FinetuneError, AzureError):
            sweep(self.services, trigger="another")

    # --- in the end

    def _all_is_told(self) -> None:
        """After fair sweeps each warning that stands was told, and shows at its endpoint."""
        picture = self.world.picture()
        told = {event["subject"] for event in self.topic.events if event["type"].endswith("EndpointWarned")}
        for (name, deployment), row in picture.warnings.items():
            if not row["Told"] or f"endpoints/{name}{'/' * bool(deployment)}{deployment}" not in told:
                self.witness.breaches.append(f"{name}/{deployment}: warned of at {row['WarnedAt']}, and nobody told")
            shown = picture.endpoints[name]["tags"].get("finetune.removal_after") if name in picture.endpoints else None
            if not deployment and shown != f"{row['ActAfter']:%Y-%m-%dT%H:%MZ}":
                self.witness.breaches.append(f"{name}: warned of until {row['ActAfter']}, its tag says {shown}")


class Doorkeeper(RunStore):
    """The table of runs; something happens just before a run is claimed."""

    def __init__(self, services: Services, happening: Callable[[str], None]) -> None:
        super().__init__(services.settings.storage, now=services.now, lease=services.settings.run_lease)
        self._happening = happening

    def claim(self, run_id: str) -> AbstractContextManager[Claim]:
        self._happening(run_id)
        return super().claim(run_id)


_TAGS = (
    {"finetune.keep": "true"},
    {"finetune.keep": None},
    {"finetune.keep": None},
    {"finetune.idle_after": "4h"},
    {"finetune.idle_after": "30m"},
    {"finetune.idle_after": "a while"},
    {"finetune.idle_after": None},
    {"finetune.idle_warn_for": "20m"},
    {"finetune.idle_warn_for": None},
    {"owner": "somebody"},
)
