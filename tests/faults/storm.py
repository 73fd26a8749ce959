"""Lets runs go through trouble: uploads and events come as they like, hosts are killed, people ask for things."""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite
from shared.runs.record import Run
from shared.runs.rows import run_of
from tests.faults import weather
from tests.faults.hosts import Answer, Host, SharedClock, Task, start
from tests.faults.post_office import PostOffice
from tests.faults.truths import Truth, draw, faults_of
from tests.functional.app.cloud import Cloud

HOSTS = 4
KILL_SHARE, KILL_WITHIN_S, LONGEST_LIFE = 0.25, 0.3, 60
MINUTE, HALF_HOUR, LONG_QUIET = 60, 30 * 60, 15
QUARTERS, MANY = (6, 12), 30
MOST_MINUTES, PATIENCE_S = 300, 900
"""How long a storm may last: minutes of its own clock are what tells that a run is stuck; seconds are for a loaded
machine."""
_STEPS = "azureml.StepRun"
Key = tuple[str, str]


@dataclass(frozen=True)
class Place:
    """Where storms happen: the local Azure with its outside views, and the hosts that are alive."""

    azurite: Azurite
    cloud: Cloud
    storage: BlobServiceClient
    table: TableClient
    post_office: PostOffice
    log: Path
    clock: SharedClock = field(default_factory=SharedClock)
    hosts: list[Host] = field(default_factory=list)

    def kill_hosts(self) -> None:
        for host in self.hosts:
            host.kill()
        self.hosts.clear()


@dataclass
class Storm:
    """One storm: `count` runs, `kills` killed hosts, everything drawn by `seed`.

    What the runs meet is the same for one seed; which message arrives while which host is at work depends on the
    machine as well.
    """

    place: Place
    seed: int
    count: int
    kills: int
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.truths = draw(self.seed, self.count)
        self.clock = self.place.clock
        self.clock.reset()
        self.killed: Counter[str] = Counter()
        self.broken: list[str] = []
        self.accepted: dict[str, set[str]] = {}
        self.refused: dict[str, str] = {}
        self.seen: dict[str, set[str]] = {}
        self._by_project = {truth.project: truth for truth in self.truths}
        self._chance = random.Random(self.seed)
        self._hosts = self.place.hosts
        self._todo: list[tuple[float, int, Task]] = []
        self._order = itertools.count()
        self._asked: set[Key] = set()
        self._quiet = 0
        self._began = time.monotonic()
        self._last_look: dict[str, str] = {}

    def _note(self, text: str) -> None:
        """Keep a journal beside the hosts' log: what came when, and what became of it."""
        with self.place.log.with_name(f"storm-{self.seed}.log").open("a") as journal:
            journal.write(f"{time.monotonic() - self._began:7.2f} {text}\n")

    # --- the whole

    def rage(self) -> dict[str, Run]:
        """Let it all happen. Returns: the runs as their rows tell, by project, when nothing moves any more.

        Raises: AssertionError: something does not come to its end.
        """
        self.place.post_office.events()
        rules: dict[str, Any] = {"requests": weather.requests(self.seed), **faults_of(self.truths)}
        self.place.cloud.faults(**rules)
        try:
            self._upload()
            deadline = time.monotonic() + PATIENCE_S
            minutes, found = 0, self.look()
            while not self._is_over(found):
                assert minutes < MOST_MINUTES and time.monotonic() < deadline, f"stuck: {self._unfinished(found)}"
                minutes += 1
                found = self._pass(minutes, found)
            return found
        except BaseException:
            self.place.kill_hosts()
            raise
        finally:
            self.place.cloud.faults()

    def _upload(self) -> None:
        for truth in self.truths:
            if truth.yaml is not None:
                self._blob(f"{truth.project}/finetune.yaml").upload_blob(truth.yaml.encode())
            self._blob(truth.blob).upload_blob(truth.data)
            self._tell(Task("upload", truth.blob), spread_s=4)

    def _pass(self, minutes: int, found: dict[str, Run]) -> dict[str, Run]:
        """Let a minute pass: what is due is done, then the timer looks at all runs, then people look at them."""
        pause_s = self._pause_s(found)
        self.clock.forward(pause_s or MINUTE)
        if minutes in QUARTERS or minutes % MANY == 0:
            self._do(Task("quarter"))
        self._do(Task("minute"))
        self._work_until_done(for_s=0.05 if pause_s else 0.8)
        found = self.look()
        states = {project: run.state.value for project, run in found.items()}
        self._note(f"minute {minutes}: {dict(Counter(states.values()))}, {len(self._todo)} on their way")
        self._quiet = self._quiet + 1 if states == self._last_look and not self._todo else 0
        self._last_look = states
        for project, run in found.items():
            self.seen.setdefault(project, set()).add(run.state.value)
            self._ask(self._by_project[project], run)
        return found

    def _pause_s(self, found: dict[str, Run]) -> float | None:
        """Return how long nothing can happen but that time passes; None: something is under way, or may be."""
        if self._todo or len(found) < len(self.truths) or any(not host.is_idle for host in self._hosts):
            return None
        now, ends = self.clock(), [HALF_HOUR]
        for project, run in found.items():
            truth = self._by_project[project]
            if self._has_come_to_rest(truth, run) or (truth.kind, run.state) == ("never ends", "deploying"):
                continue
            if run.next_attempt_at is None or run.next_attempt_at <= now:
                return None
            ends.append((run.next_attempt_at - now).total_seconds() + 1)
        return max(MINUTE, min(ends))

    def _is_over(self, found: dict[str, Run]) -> bool:
        if self._todo or any(not host.is_idle for host in self._hosts) or self.kills > self.killed.total():
            return False
        return len(found) == len(self.truths) and not self._unfinished(found)

    def _unfinished(self, runs: dict[str, Run]) -> list[str]:
        missing = [f"{truth.project} ({truth.kind}) has no run" for truth in self.truths if truth.project not in runs]
        return missing + [
            f"{run.id} ({self._by_project[project].kind}) is {run.state}: {run.waiting_for}, attempt {run.attempts}"
            for project, run in runs.items()
            if not self._has_come_to_rest(self._by_project[project], run)
        ]

    def _has_come_to_rest(self, truth: Truth, run: Run) -> bool:
        if run.state not in ("live", "retired", "rejected", "failed", "cancelled", "held"):
            return False
        # Whom a person waits for in vain has come to another end than its truth's: that is told afterwards.
        return truth.person is None or (truth.person, run.id) in self._asked or self._quiet > LONG_QUIET

    # --- what comes to the app

    def _tell(self, task: Task, spread_s: float = 0) -> None:
        for after_s in weather.deliveries(self._chance):
            self._do(task, after_s + self._chance.uniform(0, spread_s))

    def _do(self, task: Task, after_s: float = 0) -> None:
        heapq.heappush(self._todo, (time.monotonic() + after_s, next(self._order), task))

    def _work_until_done(self, for_s: float) -> None:
        """Hand out what is due, at least so long; return when nothing is due or at work any more."""
        until = time.monotonic() + for_s
        while True:
            for event in self.place.post_office.events():
                self._hear(event)
            self._take_answers()
            self._give_tasks()
            now = time.monotonic()
            is_due = bool(self._todo) and self._todo[0][0] <= now
            if now >= until and not is_due and all(host.is_idle for host in self._hosts):
                return
            wait([host.connection for host in self._hosts if not host.is_idle], timeout=0.02)

    def _hear(self, event: dict[str, Any]) -> None:
        data = event.get("data", {})
        if str(data.get("runId", "")).startswith(f"s{self.seed}r") and data.get("runType") != _STEPS:
            self._tell(Task("job", data["runId"]))

    def _give_tasks(self) -> None:
        while self._todo and self._todo[0][0] <= time.monotonic():
            host = next((host for host in self._hosts if host.is_idle), None)
            if host is None:
                if len(self._hosts) == HOSTS:
                    return
                host = start(self.place.cloud.app_environment(**self.settings), self.clock, self.place.log)
                self._hosts.append(host)
            _, _, task = heapq.heappop(self._todo)
            host.give(self._perhaps_deadly(task))
            if host.task is not None and host.task.dies_after is None and self._is_to_die():
                host.dies_at = time.monotonic() + self._chance.uniform(0, KILL_WITHIN_S)

    def _perhaps_deadly(self, task: Task) -> Task:
        if not self._is_to_die():
            return task
        return Task(task.what, task.about, self._chance.randrange(LONGEST_LIFE))

    def _is_to_die(self) -> bool:
        return self.killed.total() < self.kills and self._chance.random() < KILL_SHARE / 2

    def _take_answers(self) -> None:
        for host in list(self._hosts):
            task = host.task
            if task is None:
                continue
            try:
                answer = host.answer()
            except EOFError:
                self._died(host, task, "by ticks")
                continue
            if answer is not None:
                host.task = None
                took = time.monotonic() - host.began
                self._note(f"{task.what} {task.about}: {answer.outcome} {answer.message} in {took:.2f} s")
                self._heard(task, answer)
            elif host.dies_at is not None and time.monotonic() >= host.dies_at:
                host.kill()
                self._died(host, task, "by time")

    def _died(self, host: Host, task: Task, how: str) -> None:
        """A delivery that was not acknowledged comes again, and a person asks again; the timer does so anyway."""
        host.bury()
        assert host.process.exitcode == -signal.SIGKILL, f"a host ended by itself at {task}; see {self.place.log}"
        self._note(f"{task.what} {task.about}: host killed {how}")
        self._hosts.remove(host)
        self.killed[how] += 1
        if task.what not in ("minute", "quarter"):
            self._do(Task(task.what, task.about), self._chance.uniform(0.2, 1))

    def _heard(self, task: Task, answer: Answer) -> None:
        if answer.outcome == "broken":
            self.broken.append(f"{task.what} {task.about}: {answer.message}")
        if task.what not in ("cancel", "retry", "remove"):
            # A sweep says that Azure is not well; the next one is soon.
            if answer.outcome == "refused" and (task.what, answer.error) != ("quarter", "TransientError"):
                self.broken.append(f"{task.what} {task.about}: {answer.error}: {answer.message}")
            return
        if answer.outcome == "done":
            self.accepted.setdefault(task.about, set()).add(task.what)
        elif answer.error == "ActionRefusedError" or answer.error == "EndpointNotFoundError":
            self.refused[task.about] = answer.message
        else:  # busy, or Azure is not well: HTTP says 409 or 503, and the person asks again
            self._do(task, self._chance.uniform(0.3, 1))

    # --- what people do

    def _ask(self, truth: Truth, run: Run) -> None:
        """Ask once, in the state that is meant or in any later one."""
        key = (str(truth.person), run.id)
        if truth.person is None or key in self._asked:
            return
        is_time = run.state == truth.person_when
        if truth.person == "cancel":
            over = run.state in ("live", "failed", "rejected", "cancelled")
            is_time = is_time or over or (truth.person_when is None and self._chance.random() < 0.4)
        if is_time:
            self._asked.add(key)
            self._do(Task(truth.person, str(run.endpoint) if truth.person == "remove" else run.id))

    # --- from outside

    def look(self) -> dict[str, Run]:
        """Return the storm's runs, by project, from their rows."""
        return {run.project: run for run in self._rows()}

    def _rows(self) -> Iterator[Run]:
        query = f"PartitionKey eq 'run' and Project ge 's{self.seed}r' and Project lt 's{self.seed}s'"
        return (run_of(row) for row in self.place.table.query_entities(query))

    def _blob(self, name: str) -> Any:
        return self.place.storage.get_blob_client("datasets", name)


def projects(truths: Sequence[Truth]) -> list[str]:
    return [truth.project for truth in truths]
