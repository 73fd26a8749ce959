"""How a run's model is served: the options under `deploy`, and what they may be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from shared.runs.names import is_endpoint_name

NEW_ENDPOINT, BLUE_GREEN = "new_endpoint", "blue_green"
KEY, AAD_TOKEN = "key", "aad_token"
CANARY = (10, 50, 100)
BAKE_MINUTES = 10.0
"""Azure Monitor shows a minute some minutes later; a much shorter look would see little of a step."""
PATIENCE = timedelta(minutes=15)
"""How much longer a step lasts when Azure Monitor does not answer. Then the rollout goes on with a note in the run: the
smoke test has passed, and an outage of the monitoring must not keep every project from its new model."""
MOST_SMOKE_TESTS = 50
MOST_BAKE_MINUTES = 24 * 60


class DeployOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to serve.

    strategy: `new_endpoint`, one for each run; `blue_green`, one for the project, where a new deployment replaces the
    live one. endpoint: its name. instance_type: a VM size, or several, of which the first with quota is taken.
    auth_mode: `key` or `aad_token`, for an endpoint that is made anew. canary: percent of the traffic, step by step.
    bake_minutes: how long each step is watched. min_similarity: to the true answers, of the smoke test, on average.
    """

    strategy: str | None = None
    endpoint: str | None = None
    instance_type: str | list[str] | None = None
    instance_count: int | None = None
    auth_mode: str | None = None
    smoke_tests: int | None = None
    min_similarity: float | None = None
    canary: list[int] | None = None
    bake_minutes: float | None = None

    @property
    def is_blue_green(self) -> bool:
        """Whether the project's runs share an endpoint."""
        return self.strategy == BLUE_GREEN

    @property
    def steps(self) -> tuple[int, ...]:
        """Percent of the traffic, step by step; the last is 100."""
        return tuple(self.canary or CANARY)

    @property
    def bake(self) -> timedelta:
        """How long each step is watched."""
        return timedelta(minutes=BAKE_MINUTES if self.bake_minutes is None else self.bake_minutes)

    @property
    def instance_types(self) -> list[str]:
        """The VM sizes that were asked for, in the order in which they are tried; none: the model's own choice."""
        if isinstance(self.instance_type, list):
            return self.instance_type
        return [self.instance_type] if self.instance_type else []


def faults(options: DeployOptions) -> Iterable[str]:
    """Say what is out of range in the options under `deploy`."""
    yield from _words(options)
    for name, count, most in (
        ("instance_count", options.instance_count, None),
        ("smoke_tests", options.smoke_tests, MOST_SMOKE_TESTS),
    ):
        if count is not None and (count < 1 or (most is not None and count > most)):
            yield f"deploy.{name} is {count}, expected {f'1 to {most}' if most else '1 or more'}"
    for name, value, highest in (
        ("min_similarity", options.min_similarity, 1),
        ("bake_minutes", options.bake_minutes, MOST_BAKE_MINUTES),
    ):
        if value is not None and not (math.isfinite(value) and 0 <= value <= highest):
            yield f"deploy.{name} is {value:g}, expected 0 to {highest}"
    if options.canary is not None and not _is_canary(options.canary):
        yield f"deploy.canary is {options.canary}, expected percents that rise to 100, such as {list(CANARY)}"


def _words(options: DeployOptions) -> Iterable[str]:
    for name, value, known in (
        ("strategy", options.strategy, (NEW_ENDPOINT, BLUE_GREEN)),
        ("auth_mode", options.auth_mode, (KEY, AAD_TOKEN)),
    ):
        if value is not None and value not in known:
            yield f"deploy.{name} is {value!r}, expected {' or '.join(known)}"
    if options.endpoint is not None and not is_endpoint_name(options.endpoint):
        yield (
            f"deploy.endpoint is {options.endpoint!r}, expected 3 to 32 letters, digits and hyphens, "
            "a letter first and no hyphen last"
        )
    sizes = options.instance_type
    if isinstance(sizes, list) and not (sizes and all(size.strip() for size in sizes)):
        yield f"deploy.instance_type is {sizes}, expected VM sizes such as Standard_NC24ads_A100_v4"


def _is_canary(steps: list[int]) -> bool:
    rises = all(low < high for low, high in zip([0, *steps], steps, strict=False))
    return bool(steps) and rises and steps[-1] == 100
