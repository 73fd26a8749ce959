"""The states of a run's life, and which transitions are allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """The states of a run's life, in the order of the happy road, then the ends and the waiting states."""

    RECEIVED = "received"
    PREPARING = "preparing"
    PREPARED = "prepared"
    TRAINING = "training"
    TRAINED = "trained"
    REGISTERED = "registered"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    LIVE = "live"
    RETIRED = "retired"
    HELD = "held"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


_S = RunState
_ANYTIME = {_S.FAILED, _S.CANCELLED}
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    _S.RECEIVED: frozenset({_S.PREPARING, _S.REJECTED} | _ANYTIME),
    _S.PREPARING: frozenset({_S.PREPARED, _S.REJECTED} | _ANYTIME),
    # Rejected as late as this: by a job that prepared the dataset itself.
    _S.PREPARED: frozenset({_S.TRAINING, _S.HELD, _S.REJECTED} | _ANYTIME),
    _S.TRAINING: frozenset({_S.TRAINED, _S.REJECTED} | _ANYTIME),
    _S.TRAINED: frozenset({_S.REGISTERED} | _ANYTIME),
    _S.REGISTERED: frozenset({_S.DEPLOYING, _S.HELD} | _ANYTIME),
    _S.DEPLOYING: frozenset({_S.VERIFYING} | _ANYTIME),
    _S.VERIFYING: frozenset({_S.LIVE} | _ANYTIME),
    _S.LIVE: frozenset({_S.RETIRED}),
    # Approved: the run goes on where it was held.
    _S.HELD: frozenset({_S.PREPARED, _S.REGISTERED, _S.CANCELLED}),
    _S.RETIRED: frozenset({_S.REGISTERED}),
    _S.REJECTED: frozenset(),
    # A retry continues from the step that failed.
    _S.FAILED: frozenset({_S.RECEIVED, _S.PREPARED, _S.TRAINED, _S.REGISTERED}),
    # Only what was set aside as a test file, and is asked for by name all the same.
    _S.CANCELLED: frozenset({_S.RECEIVED}),
}
MOVING = frozenset(
    {_S.RECEIVED, _S.PREPARING, _S.PREPARED, _S.TRAINING, _S.TRAINED, _S.REGISTERED, _S.DEPLOYING, _S.VERIFYING}
)
"""States that the app leaves by itself: the timer looks at these runs."""

ENDED = frozenset({_S.RETIRED, _S.REJECTED, _S.FAILED, _S.CANCELLED})
"""States of which only a person, or a new upload, leads out again."""

ENGAGED = MOVING | {_S.LIVE, _S.HELD}
"""States in which a run still speaks for its dataset: the same content uploaded again is the same run."""

RETRY_FROM: Mapping[RunState, RunState] = {
    _S.RECEIVED: _S.RECEIVED,
    _S.PREPARING: _S.RECEIVED,
    _S.PREPARED: _S.PREPARED,
    _S.TRAINING: _S.PREPARED,
    _S.TRAINED: _S.TRAINED,
    _S.REGISTERED: _S.REGISTERED,
    _S.DEPLOYING: _S.REGISTERED,
    _S.VERIFYING: _S.REGISTERED,
}
"""Where a retry goes on, by the state in which the run failed."""
