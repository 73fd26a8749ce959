"""Judges a storm of sweeps from outside: by what was injected, and by what Azure and the app's table show after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.runs.record import Run
from shared.runs.states import RunState
from shared.sweeps.records import SweepReport
from tests.faults.sweep_world import GRACE, GREEN, MINUTE, Picture, Subject, World

OWN_SETTLES = timedelta(minutes=7)
DELETES = frozenset({"delete_endpoint", "delete_deployment"})


@dataclass(frozen=True)
class Look:
    """One sweep: when it was, what was there before and after it, how far behind Azure Monitor was."""

    begin: datetime
    end: datetime
    before: Picture
    after: Picture
    lag: timedelta
    is_fair: bool
    weather: str


@dataclass
class Witness:
    """Collects what must not have been. removed: how many endpoints and deployments the sweeps removed."""

    world: World
    breaches: list[str] = field(default_factory=list)
    removed: int = 0
    warned: int = 0
    said: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """What the last sweep that came to its end said of each."""

    def heard(self, report: SweepReport) -> None:
        """Keep what a sweep says, to be shown beside a breach; nothing is proved by it."""
        self.said = {
            (one.name, one.deployment or ""): f"{one.action}, {one.code}: {one.reason}" for one in report.endpoints
        }

    def see(self, look: Look) -> None:
        """Judge what one sweep did, and, after a fair one, what it did not do."""
        self.warned += len(look.after.warnings.keys() - look.before.warnings.keys())
        for subject in self.world.subjects.values():
            self._removals(look, subject)
            self._once(look, subject)
            if look.is_fair:
                self._records(look, subject)
            # Who was asked while the sweep went on may have been taken for idle, and for in use a moment later.
            if look.is_fair and not any(look.begin <= at <= look.end for at in subject.asked()):
                self._answers(look, subject)
                self._not_forgotten(look, subject)
                if GREEN in self._beside(look.before, subject):
                    self._not_forgotten_beside(look, subject)

    def _say(self, look: Look, subject: Subject, what: str) -> None:
        said = self.said.get((subject.name, ""))
        self.breaches.append(
            f"{look.begin:%d %H:%M:%S} ({look.weather}) {what}; the sweep says: {said}; {subject.told()}"
        )

    # --- nothing is removed that must not be

    def _removals(self, look: Look, subject: Subject) -> None:
        name = subject.name
        if name not in look.before.endpoints:
            return
        if name not in look.after.endpoints:
            self.removed += 1
            subject.by_app += 1
            self._may_go(look, subject, None, self.world.gone_at(name) or look.end)
            return
        for deployment in self._beside(look.before, subject) - self._beside(look.after, subject):
            self.removed += 1
            subject.by_app += 1
            at = self.world.gone_at(name, deployment) or look.end
            self._may_go(look, subject, deployment, at)
            subject.changed_at = at
            subject.cut_off += deployment != subject.main and not look.is_fair

    def _may_go(self, look: Look, subject: Subject, deployment: str | None, at: datetime) -> None:
        """Prove that what went at a time was idle, warned of, old enough, and not to be kept."""
        what = deployment or "endpoint"
        if subject.is_kept(at):
            self._say(look, subject, f"{what} removed at {at}, though it is to be kept")
        is_beside = deployment is not None and deployment != subject.main
        if not is_beside and subject.action not in DELETES:
            self._say(look, subject, f"{what} removed at {at}, though its action is {subject.action}")
        if at - subject.live_since < max(GRACE, subject.patience):
            self._say(look, subject, f"{what} removed at {at}, young")
        asked = [one for one in subject.asked(deployment if is_beside else None) if one < at]
        # Seen: counted in a minute that had ended, and was shown, when the sweep began; without a lag, all at once.
        seen = [one for one in asked if not look.lag or one + MINUTE + look.lag <= look.begin]
        if late := [one for one in seen if one > at - subject.patience]:
            self._say(look, subject, f"{what} removed at {at}, though asked at {max(late)}")
        if subject.notice:
            row = look.before.warnings.get((subject.name, deployment if is_beside else ""))
            self._was_warned(look, subject, what, at, row, asked, seen)

    def _was_warned(
        self, look: Look, subject: Subject, what: str, at: datetime, row: Any, asked: list[datetime],
        seen: list[datetime],
    ) -> None:  # fmt: skip
        if row is None:
            self._say(look, subject, f"{what} removed at {at} without a warning")
            return
        warned, due = row["WarnedAt"], row["ActAfter"]
        if warned < subject.live_since or at < due or at - warned < subject.notice:
            self._say(look, subject, f"{what} removed at {at}, warned at {warned} until {due}")
        # The figures had to be complete until the end of the warning.
        if within := [one for one in {*asked} if warned < one < due or (one in seen and one > warned)]:
            self._say(look, subject, f"{what} removed at {at}, asked at {max(within)} after the warning of {warned}")

    # --- what is written down is what happened

    def _once(self, look: Look, subject: Subject) -> None:
        run, ends = look.after.runs[subject.run_id], subject.by_app + subject.by_others
        if (retired := _retired(run)) > ends:
            self._say(look, subject, f"retired {retired} times, gone {ends} times")
        if (entered := look.after.ledger.get(subject.name, 0)) > subject.by_app + subject.by_either:
            self._say(look, subject, f"{entered} lines in the ledger, removed {subject.by_app} times")

    def _records(self, look: Look, subject: Subject) -> None:
        """After a fair sweep all that was begun is recorded."""
        run = look.after.runs[subject.run_id]
        is_there = (subject.name, subject.main) in look.after.deployments
        if (run.state == RunState.LIVE) != is_there:
            self._say(look, subject, f"its run is {run.state}, its deployment is {'' if is_there else 'not '}there")
        entered = look.after.ledger.get(subject.name, 0)
        if not subject.by_app - subject.cut_off <= entered <= subject.by_app + subject.by_either:
            self._say(look, subject, f"{entered} lines in the ledger, removed {subject.by_app} times")

    def _answers(self, look: Look, subject: Subject) -> None:
        """What is live has traffic, except on its way out."""
        if (subject.name, subject.main) not in look.after.deployments or self._may_be_due(look, subject):
            return
        if any(at + MINUTE + look.lag > look.begin for at in subject.asked()):  # the sweep cannot know of it yet
            return
        if not self.world.served(look.after, subject.name):
            self._say(look, subject, "is not to go, and has no traffic any more")

    # --- nothing that nobody asks is forgotten

    def _not_forgotten(self, look: Look, subject: Subject) -> None:
        name = subject.name
        if (name, subject.main) not in look.before.deployments or subject.action not in DELETES:
            return
        if subject.is_kept(look.end) or look.begin < self._idle_from(subject, None):
            return
        if name not in look.after.endpoints or (name, subject.main) not in look.after.deployments:
            return
        if self._is_due(look, subject, ""):
            if subject.action == "delete_endpoint" or self.world.served(look.before, name):
                routed = name in look.after.endpoints and not self.world.served(look.after, name)
                if not (subject.action == "delete_deployment" and routed):
                    self._say(look, subject, "idle, warned, due, and still there after a fair sweep")
        elif subject.notice and (name, "") not in look.after.warnings and not self._is_called_off(look, subject, ""):
            self._say(look, subject, "idle and not warned of after a fair sweep")

    def _not_forgotten_beside(self, look: Look, subject: Subject) -> None:
        if (subject.name, GREEN) not in look.after.deployments or subject.is_kept(look.end):
            return
        if look.begin < self._idle_from(subject, GREEN):
            return
        is_main_acted_on = (subject.name, subject.main) in look.before.deployments and self._may_be_due(look, subject)
        if is_main_acted_on:  # one thing after the other
            return
        if self._is_due(look, subject, GREEN):
            self._say(look, subject, "green is idle, warned, due, and still there after a fair sweep")
        elif self._is_called_off(look, subject, GREEN):
            return
        elif subject.notice and not {(subject.name, GREEN), (subject.name, "")} & look.after.warnings.keys():
            self._say(look, subject, "green is idle and not warned of after a fair sweep")

    def _idle_from(self, subject: Subject, deployment: str | None, *, own: bool = True) -> datetime:
        """Return from when on everybody can know that it is idle."""
        times = [subject.live_since + max(GRACE, subject.patience)]
        times += [at + subject.patience + MINUTE for at in subject.asked(deployment)]
        if subject.changed_at is not None:
            times.append(subject.changed_at + GRACE)
        if own and subject.own_at is not None:
            times.append(subject.own_at + OWN_SETTLES)
        if deployment is None and subject.asked():  # a client that was connected
            times.append(max(subject.asked()) + timedelta(minutes=17))
        return max(times) + MINUTE

    def _is_due(self, look: Look, subject: Subject, deployment: str) -> bool:
        if not subject.notice:
            return True
        row = look.before.warnings.get((subject.name, deployment))
        if row is None:
            return False
        due = max(row["ActAfter"], row["WarnedAt"] + subject.notice)
        asked = subject.asked(deployment or None)
        is_old = row["WarnedAt"] < subject.live_since or any(at + MINUTE > row["WarnedAt"] for at in asked)
        return not is_old and bool(due + look.lag + 2 * MINUTE <= look.begin)

    def _may_be_due(self, look: Look, subject: Subject) -> bool:
        """Tell whether the sweep may have begun to remove it: to the minute, nobody can say."""
        row = look.before.warnings.get((subject.name, ""))
        is_warned = not subject.notice or (row is not None and row["ActAfter"] <= look.end)
        # A question of the app's own that is not shown yet hides nothing.
        return is_warned and self._idle_from(subject, None, own=False) - 3 * MINUTE <= look.end

    def _is_called_off(self, look: Look, subject: Subject, deployment: str) -> bool:
        """Tell whether a warning is withdrawn for a request that came after it; the next sweep warns again."""
        row = look.before.warnings.get((subject.name, deployment))
        return row is not None and any(at + MINUTE > row["WarnedAt"] for at in subject.asked(deployment or None))

    def _beside(self, picture: Picture, subject: Subject) -> set[str]:
        return {deployment for endpoint, deployment in picture.deployments if endpoint == subject.name}


def _retired(run: Run) -> int:
    return sum(line.to_state == RunState.RETIRED for line in run.history)
