"""What a step of a run sees, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.runs.claim import Claim
from shared.runs.options import EffectiveOptions, effective
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services


@dataclass(frozen=True)
class Moved:
    """The step is done; the run goes to this state."""

    to: RunState
    reason: str


@dataclass(frozen=True)
class Waiting:
    """Something else has to happen first; look again at the next tick, or after a while."""

    for_what: str
    again_in: timedelta | None = None


@dataclass(frozen=True)
class Held:
    """A person has to decide. reason: a short code for programs; the message is for people.

    `Run.approved` has the reasons that were overruled; a step does not hold a run for one of them again.
    """

    reason: str
    message: str


Outcome = Moved | Waiting | Held


class CancelRequestedError(Exception):
    """Raised inside a long step when a person asked to cancel."""


@dataclass
class Context:
    """A claimed run and the services to work on it with."""

    claim: Claim
    services: Services
    _saved_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._saved_at = self.now

    @property
    def run(self) -> Run:
        """The run; a step changes it in place."""
        return self.claim.run

    @property
    def options(self) -> EffectiveOptions:
        """The run's options after all layers."""
        return effective(self.run.options, self.services.settings)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.services.now()

    @property
    def in_state_for(self) -> timedelta:
        """How long the run has been in its state."""
        return self.now - self.run.state_since

    def save(self) -> None:
        """Write what is known so far, and renew the lease. Raises: LeaseLostError."""
        self.claim.save()
        self._saved_at = self.now

    def still_alive(self) -> None:
        """Renew the lease now and then during a long step. Raises: LeaseLostError, CancelRequestedError."""
        if self.now - self._saved_at > self.claim.lease / 4:
            self.save()
        if self.run.cancel_requested:
            raise CancelRequestedError
