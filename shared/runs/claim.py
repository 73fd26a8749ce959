"""Working on a run: it is held under a lease, so that nobody else works on it meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.errors import LeaseLostError
from shared.runs.record import Run
from shared.runs.rows import NEVER, run_of

if TYPE_CHECKING:
    from shared.runs.store import RunStore


class Claim:
    """A run held under a lease. Every save writes the row under its ETag and renews the lease."""

    def __init__(self, store: RunStore, run: Run, etag: str, owner: str) -> None:
        self.run = run
        self._store, self._etag, self._owner = store, etag, owner

    @property
    def lease(self) -> timedelta:
        """How long the run stays held without a save."""
        return self._store.lease

    def save(self, *, release: bool = False) -> None:
        """Write the run.

        Raises: LeaseLostError: another worker holds the run now.
        """
        lease_until = NEVER if release else self._store.now() + self._store.lease
        for _ in range(3):
            self.run.updated_at = self._store.now()
            etag = self._store.replace(self.run, self._etag, self._owner, lease_until)
            if etag is not None:
                self._etag = etag
                return
            # Someone wrote in between. Under our lease that can only be a person's wish to cancel: take it over.
            entity = self._store.entity(self.run.id)
            if entity["LeaseOwner"] != self._owner:
                break
            written = run_of(entity)
            self.run.cancel_requested = written.cancel_requested or self.run.cancel_requested
            self.run.cancel_reason = written.cancel_reason or self.run.cancel_reason
            self._etag = entity.metadata["etag"]
        raise LeaseLostError(f"run {self.run.id}: another worker has taken it over")
