"""Whose turn is it? A pure choice: fair between projects, the oldest first within one."""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class InLine:
    """A run that waits for its turn. ticket: what a turn is given to; a run that waits again has another one."""

    run_id: str
    project: str
    ticket: str


@dataclass(frozen=True)
class Turns:
    """Who may begin. kept: was given a turn before and has not begun yet; given: gets one now."""

    kept: Sequence[InLine]
    given: Sequence[InLine]

    @property
    def run_ids(self) -> list[str]:
        """Return the runs that may begin, in their order."""
        return [run.run_id for run in (*self.kept, *self.given)]


def choose(
    line: Sequence[InLine],
    under_way: Mapping[str, str],
    grants: Mapping[str, str],
    served: Sequence[str],
    most: int,
) -> Turns:
    """Decide who may begin, so that never more than `most` are under way.

    Args: line: oldest first. under_way: project by run. grants: ticket by run, of the turns given and perhaps not used
    yet. served: the projects that had a turn, the latest last.
    """
    kept, waiting = _apart(line, under_way, grants)
    free = most - len(under_way) - len(kept)
    return Turns(kept, list(islice(in_order(waiting, _counts(kept, under_way), served), max(free, 0))))


def places(
    line: Sequence[InLine], under_way: Mapping[str, str], grants: Mapping[str, str], served: Sequence[str]
) -> list[str]:
    """Return all runs in line in the order in which they get their turn, as things stand."""
    kept, waiting = _apart(line, under_way, grants)
    return [run.run_id for run in (*kept, *in_order(waiting, _counts(kept, under_way), served))]


def in_order(waiting: Sequence[InLine], counts: Mapping[str, int], served: Sequence[str]) -> Iterator[InLine]:
    """Yield the waiting runs in the order of their turns.

    The project with the fewest runs under way comes first; of several, the one whose last turn is the longest ago; of
    those, the one with the oldest run. Each yielded run counts as under way for those after it.
    """
    lines: dict[str, deque[tuple[int, InLine]]] = defaultdict(deque)
    for age, run in enumerate(waiting):
        lines[run.project].append((age, run))
    last_turn = {project: at for at, project in enumerate(served)}
    turn = len(served)
    heap = [
        (counts.get(project, 0), last_turn.get(project, -1), runs[0][0], project) for project, runs in lines.items()
    ]
    heapq.heapify(heap)
    while heap:
        count, _, _, project = heapq.heappop(heap)
        _, run = lines[project].popleft()
        yield run
        if lines[project]:
            heapq.heappush(heap, (count + 1, turn, lines[project][0][0], project))
        turn += 1


def _apart(
    line: Sequence[InLine], under_way: Mapping[str, str], grants: Mapping[str, str]
) -> tuple[list[InLine], list[InLine]]:
    """Part those that have a turn already from those that wait for one; who has begun meanwhile is neither."""
    still = [run for run in line if run.run_id not in under_way]
    kept = [run for run in still if grants.get(run.run_id) == run.ticket]
    return kept, [run for run in still if grants.get(run.run_id) != run.ticket]


def _counts(kept: Sequence[InLine], under_way: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for project in (*under_way.values(), *(run.project for run in kept)):
        counts[project] += 1
    return counts
