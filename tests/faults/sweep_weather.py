"""What one sweep of a storm meets: an Azure that is not well, a sweep that dies, that stalls, or that is not alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Rule = Mapping[str, Any]
_BATCH, _SINGLE = r"metrics:getBatch$", r"Microsoft\.Insights/metrics$"
_ENDPOINT, _ENDPOINTS = r"/onlineEndpoints/[^/]+$", r"/onlineEndpoints$"
_LONG, _AT_ONCE = 900, 0
"""Seconds that Azure asks to wait: longer than a sweep is patient, or no time."""

_KINDS: Mapping[str, tuple[tuple[Rule, ...], ...]] = {
    "metrics throttled": (
        ({"path": _BATCH, "status": 429, "retry_after": _LONG},),
        ({"path": _BATCH, "status": 429, "retry_after": _AT_ONCE, "times": 1},),
        ({"path": _BATCH, "status": 503, "retry_after": _LONG, "times": 1},),
    ),
    "metrics failing": (({"path": _BATCH, "status": 500, "retry_after": _LONG, "probability": 0.5},),),
    "no right to batches": (({"path": _BATCH, "status": 403},),),
    "metrics refused": (
        ({"path": _BATCH, "status": 400}, {"path": _SINGLE, "status": 404, "probability": 0.3}),
        ({"path": _BATCH, "status": 403}, {"path": _SINGLE, "status": 403}),
        ({"path": _BATCH, "status": 404}, {"path": _SINGLE, "status": 500, "retry_after": _LONG, "probability": 0.2}),
    ),
    "deleting fails": tuple(
        ({"method": "DELETE", "path": "/onlineEndpoints/", "status": status, **more},)
        for status, more in (
            (429, {"retry_after": _LONG}),
            (409, {}),
            (500, {}),
            (500, {"when": "after"}),
            (503, {"probability": 0.5}),
        )
    ),
    "looking fails": (
        ({"method": "GET", "path": _ENDPOINTS, "status": 500},),
        ({"method": "GET", "path": _ENDPOINTS, "status": 429, "retry_after": _LONG},),
        ({"method": "GET", "path": r"/deployments$", "status": 500, "probability": 0.3},),
        ({"method": "GET", "path": r"/deployments$", "status": 403, "probability": 0.2},),
        ({"method": "GET", "path": _ENDPOINT, "status": 503, "probability": 0.5},),
    ),
    "tags fail": tuple(
        ({"method": "PUT", "path": _ENDPOINT, "status": status, **more},)
        for status, more in ((409, {}), (429, {"retry_after": _LONG}), (500, {"when": "after"}), (503, {"times": 2}))
    ),
    "dropped": (({"drop": True, "when": "after", "method": "PUT|DELETE", "probability": 0.3, "plane": "arm"},),),
}


@dataclass(frozen=True)
class Weather:
    """What befalls one sweep. dies: the share of its life after which it dies. stalls: that at which it stands still
    for minutes, while another sweep goes by. asked_at_the_door: strangers ask just before something is removed."""

    faults: tuple[Rule, ...] = ()
    kind: str = ""
    dies: float | None = None
    stalls: float | None = None
    two: bool = False
    topic_down: bool = False
    asked_at_the_door: bool = False

    @property
    def is_fair(self) -> bool:
        """Whether nothing keeps the sweep from doing all it has to."""
        return not self.faults and self.dies is None and self.stalls is None and not self.two

    def __str__(self) -> str:
        told = {
            self.kind: bool(self.faults),
            "dies": self.dies is not None,
            "stalls": self.stalls is not None,
            "two at once": self.two,
            "topic down": self.topic_down,
            "asked at the door": self.asked_at_the_door,
        }
        return ", ".join(what for what, holds in told.items() if holds) or "fair"


def draw(chance: random.Random) -> Weather:
    """Draw the weather of one sweep: fair for a third of them."""
    topic_down, at_the_door = chance.random() < 0.2, chance.random() < 0.15
    more: dict[str, Any] = {"topic_down": topic_down, "asked_at_the_door": at_the_door}
    dice = chance.random()
    if dice < 0.36:
        return Weather(**more)
    if dice < 0.52:
        return Weather(dies=chance.random(), **more)
    if dice < 0.58:
        return Weather(stalls=chance.random(), **more)
    if dice < 0.64:
        return Weather(two=True, **more)
    kind = chance.choice(list(_KINDS))
    return Weather(faults=chance.choice(_KINDS[kind]), kind=kind, **more)
