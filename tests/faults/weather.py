"""What all runs of a storm meet: an Azure that is not well, and messages that do not come as they were sent."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

Rule = dict[str, Any]
_REQUESTS: tuple[Rule, ...] = (
    {"status": 429},
    {"status": 429, "retry_after": 1},
    {"status": 500},
    {"status": 503},
    {"drop": True},
    {"drop": True, "when": "after", "method": "PUT|POST|DELETE|PATCH"},
    {"status": 500, "when": "after", "method": "PUT|POST|DELETE|PATCH"},
    {"delay_s": 0.5, "when": "after"},
    {"status": 503, "plane": "scoring"},
)
_SHARE = 0.03
LOST, TWICE, LATE = 0.2, 0.2, 0.3


def requests(seed: int) -> list[Mapping[str, Any]]:
    """Choose four kinds of trouble, each for a share of the requests, always the same ones for one seed."""
    chance = random.Random(seed)
    return [
        {**rule, "id": f"s{seed}-{number}", "probability": _SHARE, "seed": seed * 100 + number}
        for number, rule in enumerate(chance.sample(_REQUESTS, 4))
    ]


def deliveries(chance: random.Random) -> list[float]:
    """Say after how many seconds a message arrives, each time it does: perhaps never, perhaps twice, perhaps late."""
    if chance.random() < LOST:
        return []
    times = 2 if chance.random() < TWICE else 1
    return [chance.uniform(0.5, 3) if chance.random() < LATE else 0.0 for _ in range(times)]
