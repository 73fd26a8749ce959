"""Telling of a transition: in the run's row first, then to the world."""

from __future__ import annotations

from shared import telemetry
from shared.runs.claim import Claim
from shared.runs.status import write_status
from shared.services import Services


def announce(services: Services, claim: Claim) -> None:
    """Save a claimed run that has moved, together with the events that tell of it; then show and publish them.

    Whoever moves a run calls this before the claim ends. What cannot be published now stays in the row, and the timer
    publishes it; so it does when a process dies in between.
    Raises: LeaseLostError: nothing was told.
    """
    claim.save()
    telemetry.run_moved(claim.run)
    write_status(services, claim.run)
    services.notifier.publish(claim.run)
