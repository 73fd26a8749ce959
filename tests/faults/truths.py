"""What each run of a storm is to meet, drawn by a seed, and what it must come to for that. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.functional.app.driving import conversations, lines

Rules = Mapping[str, Sequence[Mapping[str, Any]]]
OUT_OF_MEMORY = "CUDA out of memory: injected"
CRASH = "ModuleNotFoundError: injected"
_STEPS = ("validation", "model_import", "preprocess", "finetune", "converter")


@dataclass(frozen=True)
class Truth:
    """The truth about one run.

    states: where it may end. in_state, says: of its failure. jobs: how many it has. person: what a person does to it,
    and in which state of the run (None: whenever).
    """

    kind: str
    project: str
    data: bytes
    states: frozenset[str]
    in_state: str | None = None
    says: str = ""
    jobs: int | None = 1
    person: str | None = None
    person_when: str | None = None
    faults: Rules = field(default_factory=dict)
    yaml: str | None = None
    theirs: bool = False

    @property
    def blob(self) -> str:
        return f"{self.project}/a.jsonl"


def draw(seed: int, count: int) -> list[Truth]:
    """Draw the truths of a storm: every kind at least once where there is room, in an order of its own."""
    chance = random.Random(seed)
    kinds = list(_KINDS)
    weights = [weight for weight, _ in _KINDS.values()]
    chosen = kinds[:count] + chance.choices(kinds, weights, k=max(0, count - len(kinds)))
    chance.shuffle(chosen)
    return [_KINDS[kind][1](kind, f"s{seed}r{number:02d}", chance) for number, kind in enumerate(chosen)]


def faults_of(truths: Sequence[Truth]) -> dict[str, list[Mapping[str, Any]]]:
    """Gather the faults that only one run meets."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for truth in truths:
        for kind, rules in truth.faults.items():
            found.setdefault(kind, []).extend(rules)
    return found


Maker = Callable[[str, str, random.Random], Truth]


def _good(kind: str, project: str, _: random.Random) -> Truth:
    return Truth(kind, project, _data(project), frozenset({"live"}))


def _rejected(kind: str, project: str, chance: random.Random) -> Truth:
    bad = chance.choice(['{"messages": "none"}', "not JSON", '{"messages": [{"role": "bot", "content": "?"}]}'])
    return Truth(kind, project, lines([bad] * 9), frozenset({"rejected"}), jobs=0)


def _refused_options(kind: str, project: str, _: random.Random) -> Truth:
    states = frozenset({"rejected"})
    return Truth(kind, project, _data(project), states, "received", jobs=0, yaml="learning_rate: fast\n")


def _job_fails(kind: str, project: str, chance: random.Random) -> Truth:
    rule = {"step": chance.choice(_STEPS), "message": OUT_OF_MEMORY, "match": f"^{project}-"}
    return Truth(
        kind, project, _data(project), frozenset({"failed"}), "training", OUT_OF_MEMORY, faults={"job": [rule]}
    )


def _job_fails_once(kind: str, project: str, chance: random.Random) -> Truth:
    rule = {"step": chance.choice(_STEPS), "message": OUT_OF_MEMORY, "match": f"^{project}-", "times": 1}
    states, faults = frozenset({"live"}), {"job": [rule]}
    return Truth(kind, project, _data(project), states, jobs=2, person="retry", person_when="failed", faults=faults)


def _deployment_fails(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"deployment": [{"message": CRASH, "match": f"^{project}-"}]}
    return Truth(kind, project, _data(project), frozenset({"failed"}), "deploying", "could not start", faults=faults)


def _deployment_fails_once(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"deployment": [{"message": CRASH, "match": f"^{project}-", "times": 1}]}
    states = frozenset({"live"})
    return Truth(kind, project, _data(project), states, person="retry", person_when="failed", faults=faults)


def _never_ends(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"deployment": [{"never_ends": True, "match": f"^{project}-"}]}
    return Truth(kind, project, _data(project), frozenset({"failed"}), "deploying", "After ", faults=faults)


def _no_quota(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"deployment": [{"quota": True, "match": f"^{project}-"}]}
    return Truth(kind, project, _data(project), frozenset({"failed"}), "deploying", "quota", faults=faults)


def _taken(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"taken": [{"endpoint": f"{project}-[0-9a-f]+", "where": "workspace"}]}
    states = frozenset({"failed"})
    return Truth(kind, project, _data(project), states, "deploying", "did not make", faults=faults, theirs=True)


def _lost_outputs(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"lose_outputs": [{"match": f"^{project}-"}]}
    return Truth(kind, project, _data(project), frozenset({"failed"}), "trained", "output", faults=faults)


def _preempted(kind: str, project: str, _: random.Random) -> Truth:
    faults = {"preempt": [{"match": f"^{project}-", "times": 1}]}
    return Truth(kind, project, _data(project), frozenset({"live"}), faults=faults)


def _cancelled(kind: str, project: str, chance: random.Random) -> Truth:
    when = chance.choice([None, "received", "prepared", "training", "trained", "deploying", "verifying"])
    states = frozenset({"cancelled", "retired", "live"})
    return Truth(kind, project, _data(project), states, jobs=None, person="cancel", person_when=when)


def _removed(kind: str, project: str, _: random.Random) -> Truth:
    return Truth(kind, project, _data(project), frozenset({"retired"}), person="remove", person_when="live")


def _data(project: str) -> bytes:
    return conversations(padding=project)


_KINDS: Mapping[str, tuple[int, Maker]] = {
    "good": (9, _good),
    "cancelled": (6, _cancelled),
    "job fails": (3, _job_fails),
    "job fails once": (2, _job_fails_once),
    "deployment fails": (2, _deployment_fails),
    "rejected": (6, _rejected),
    "no quota": (1, _no_quota),
    "preempted": (1, _preempted),
    "lost outputs": (1, _lost_outputs),
    "deployment fails once": (1, _deployment_fails_once),
    "removed": (1, _removed),
    "taken": (1, _taken),
    "never ends": (1, _never_ends),
    "refused options": (4, _refused_options),
}
