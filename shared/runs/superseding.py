"""A newer upload of a dataset makes older runs on it pointless, as long as they have not begun to train."""

from __future__ import annotations

from shared.runs.parts import DatasetVersion
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services

_BEFORE_TRAINING = (RunState.RECEIVED, RunState.PREPARING, RunState.PREPARED)
_OUT = (RunState.REJECTED, RunState.CANCELLED)


def supersede(services: Services, run: Run, version: DatasetVersion) -> None:
    """Ask for the end of the older runs on a run's dataset; or of the run itself, if a newer one is known already.

    Args: version: what was uploaded; the run may have been received for the same content, uploaded earlier.

    The versions' own times count, not the order in which they were announced. Runs on the same version with other
    options are left alone: somebody asked for them. What the ended ones had prepared is left to the retention.
    Idempotency: a wish to cancel is recorded once; it is carried out by the timer.
    """
    if not services.settings.supersede or run.state == RunState.REJECTED:
        return
    for other in services.store.rivals(run):
        if _is_newer(services, version, other.dataset):
            _end(services, other, newer=run)
        elif other.state not in _OUT and _is_newer(services, other.dataset, version):
            _end(services, run, newer=other)


def has_not_begun_to_train(run: Run) -> bool:
    """Tell whether no job of a run was submitted; a held one may have trained, or may wait for leave to do so."""
    state = run.hold.state if run.state == RunState.HELD and run.hold is not None else run.state
    return state in _BEFORE_TRAINING


def _end(services: Services, older: Run, *, newer: Run) -> None:
    if has_not_begun_to_train(older):
        services.store.request_cancel(older.id, reason=f"superseded by run {newer.id}", when=has_not_begun_to_train)


def _is_newer(services: Services, one: DatasetVersion, other: DatasetVersion) -> bool:
    """Tell whether a version is newer than another. Of two that were written within one second, which is as fine as
    Azure's times are, the one that lies in storage now is newer."""
    if one.modified_at != other.modified_at or one.etag == other.etag:
        return one.modified_at > other.modified_at
    now = services.blobs.describe(one.container, one.blob)
    return now is not None and now.etag == one.etag
