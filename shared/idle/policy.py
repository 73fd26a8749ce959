"""What holds for one endpoint: its own tags over its run's options over the app's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.idle.windows import NO_BLACKOUTS, NO_HOURS, Blackouts, BusinessHours
from shared.setting_forms import duration, flag, span, utc_moment

if TYPE_CHECKING:
    from shared.runs.options import EffectiveOptions
    from shared.settings import Settings

IDLE_AFTER_TAG = "finetune.idle_after"
WARN_FOR_TAG = "finetune.idle_warn_for"
ACTION_TAG = "finetune.idle_action"
KEEP_TAG = "finetune.keep"
EXPIRES_TAG = "finetune.expires_at"
OPT_IN_TAG = "finetune.sweep"
"""`true` on an endpoint that this app did not make: the sweep may treat it like its own (SWEEP_SCOPE=workspace)."""
WARNED_TAG = "finetune.removal_after"
"""Written by the sweep for people to see; nothing reads it."""
_MOST_SHOWN = 60


class Action(StrEnum):
    """What becomes of an idle endpoint once it was warned of."""

    DELETE_ENDPOINT = "delete_endpoint"
    DELETE_DEPLOYMENT = "delete_deployment"
    SCALE_DOWN = "scale_down"
    REPORT = "report"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When an endpoint is idle, and what happens then.

    keep: never touched. keep_until: not before that time, unless it expires. expires_at: goes then, used or not.
    unreadable: what tags say that cannot be read, in words for people; such an endpoint is kept.
    """

    idle_after: timedelta
    grace: timedelta
    warn_for: timedelta
    action: Action
    keep: bool = False
    keep_until: datetime | None = None
    expires_at: datetime | None = None
    hours: BusinessHours = NO_HOURS
    blackouts: Blackouts = NO_BLACKOUTS
    unreadable: tuple[str, ...] = ()


def parse_action(text: str) -> Action:
    """Read an action. Raises: ValueError: says which there are."""
    if text not in list(Action):
        raise ValueError(f"one of {', '.join(Action)}")
    return Action(text)


def policy_for(
    settings: Settings, options: EffectiveOptions | None, tags: Mapping[str, str], keep_until: datetime | None
) -> Policy:
    """Lay an endpoint's tags over its run's options over the settings.

    Args: options: None for an endpoint of no run. keep_until: until when somebody asked to keep it; the tag's date
    holds too, whichever is later.
    """
    read = _Tags(tags)
    below = options or settings
    keep, tagged_until = read.get(KEEP_TAG, _keep, (options is not None and options.keep, None))
    return Policy(
        idle_after=read.get(IDLE_AFTER_TAG, span, below.idle_after),
        grace=settings.idle_grace,
        warn_for=read.get(WARN_FOR_TAG, duration, below.idle_warn_for),
        action=read.get(ACTION_TAG, parse_action, below.idle_action),
        keep=keep,
        keep_until=max((until for until in (keep_until, tagged_until) if until is not None), default=None),
        expires_at=read.get(EXPIRES_TAG, utc_moment, options.expires_at if options is not None else None),
        hours=settings.business_hours,
        blackouts=settings.blackouts,
        unreadable=tuple(read.faults),
    )


@dataclass
class _Tags:
    """An endpoint's tags, read one by one; what cannot be read is collected. Azure ignores the case of their names."""

    tags: Mapping[str, str]
    faults: list[str] = field(default_factory=list)

    def get(self, name: str, form: Callable[[str], Any], below: Any) -> Any:
        """Return the tag's value, or what is below it when it is not there or cannot be read."""
        text = next((value for tag, value in self.tags.items() if tag.lower() == name), None)
        if text is None:
            return below
        try:
            return form(text.strip())
        except ValueError as expected:
            shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
            self.faults.append(f"tag {name} is {shown!r}, expected {expected}")
            return below


def _keep(text: str) -> tuple[bool, datetime | None]:
    """Read the tag `finetune.keep`: whether, or until when."""
    try:
        return flag(text), None
    except ValueError:
        pass
    try:
        return False, utc_moment(text)
    except ValueError as form:
        raise ValueError(f"true, false, or {form}") from None
