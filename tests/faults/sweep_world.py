"""The world of a storm of sweeps: endpoints that live, strangers who ask them, people who meddle, time that passes.

Endpoints are copies of a real one, put into the emulator's and the runs' tables; so are the requests of strangers,
which Azure Monitor then counts. What happens here is noted, so that a witness can say what the app should have known.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from local.azureml.endpoints import state as endpoint_state
from local.azureml.store import Store
from local.clock import Clock, advance
from shared.runs.record import Run
from shared.runs.rows import NEVER, entity_of, run_of
from shared.runs.states import RunState
from shared.traffic import own
from tests.functional.app.driving import App

GRACE = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
GREEN = "green"
HOURS = {"30m": 0.5, "1h": 1, "2h": 2, "4h": 4, "20m": 1 / 3, "0s": 0}


def span(text: str) -> timedelta:
    return timedelta(hours=HOURS[text])


@dataclass
class Subject:
    """One endpoint: what it is to be treated by, and what happened to it.

    requests: of strangers, by deployment. changed_at: by people. keep_until: as a person asked. own_at: the newest
    question of the app's own. by_app, by_others: removals. by_either: of those by others, how many the app had begun
    and not brought to an end: nobody can tell afterwards whose deletion it was. cut_off: deployments beside the main
    one that a sweep removed which was cut off: they may be missing in the ledger.
    """

    name: str
    run_id: str
    main: str
    idle_after: str
    warn_for: str
    action: str
    live_since: datetime
    tags: dict[str, str] = field(default_factory=dict)
    requests: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    changed_at: datetime | None = None
    keep_until: datetime | None = None
    own_at: datetime | None = None
    by_app: int = 0
    by_others: int = 0
    by_either: int = 0
    cut_off: int = 0
    has_green: bool = False

    @property
    def patience(self) -> timedelta:
        """How long it may be idle, by its tag or by its run's options."""
        tag = self.tags.get("finetune.idle_after", self.idle_after)
        return span(tag if tag in HOURS else self.idle_after)

    @property
    def notice(self) -> timedelta:
        return span(self.tags.get("finetune.idle_warn_for", self.warn_for))

    def told(self) -> str:
        """Say what there is to know of it when something is wrong."""
        asked = {name: [f"{at:%d %H:%M:%S}" for at in times[-3:]] for name, times in self.requests.items()}
        times = {"live": self.live_since, "changed": self.changed_at, "keep": self.keep_until, "own": self.own_at}
        shown = ", ".join(f"{what} {at:%d %H:%M:%S}" for what, at in times.items() if at is not None)
        policy = f"{self.idle_after}, {self.warn_for}, {self.action}, {self.tags}"
        return f"{self.name} ({policy}) {shown}, asked {asked}, removed {self.by_app} + {self.by_others} times"

    def is_kept(self, at: datetime) -> bool:
        is_until = self.keep_until is not None and at < self.keep_until
        is_readable = self.tags.get("finetune.idle_after", self.idle_after) in HOURS
        return self.tags.get("finetune.keep") == "true" or not is_readable or is_until

    def asked(self, deployment: str | None = None) -> list[datetime]:
        """Return when strangers asked it, or one deployment of it."""
        return [at for name, times in self.requests.items() if deployment in (None, name) for at in times]


@dataclass(frozen=True)
class Picture:
    """What is there at one moment, seen past the app: Azure's resources and the rows of the app's table."""

    endpoints: Mapping[str, dict[str, Any]]
    deployments: Mapping[tuple[str, str], dict[str, Any]]
    runs: Mapping[str, Run]
    warnings: Mapping[tuple[str, str], Any]
    ledger: Mapping[str, int]


class World:
    """Args: app: with one live run, of which all endpoints are copies."""

    def __init__(self, app: App, model: Run, traveller: time_machine.Traveller) -> None:
        self.app, self.model = app, model
        self.subjects: dict[str, Subject] = {}
        self._traveller = traveller
        self._number = 0
        self._store = Store(app.cloud.state_dir / "azureml" / "state.db")
        self._endpoint = self._store.get("endpoint", str(model.endpoint))
        self._deployment = self._store.get("deployment", f"{model.endpoint}/{model.deployment}")

    def close(self) -> None:
        self._store.close()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def pass_time(self, by: timedelta) -> None:
        """Let time pass for the emulator, and for this process as the local Functions host does it."""
        advance(self.app.cloud.state_dir, by, time_machine.escape_hatch.time.time)
        self._traveller.shift(by)

    # --- endpoints come and go

    def make(self, idle_after: str, warn_for: str, action: str, *, green: bool = False) -> Subject:
        """Put a live run with its endpoint there; `green`: with a deployment beside that has no traffic."""
        self._number += 1
        now, project = self.now(), f"copy{self._number}"
        run = copy.deepcopy(self.model)
        run.project, run.endpoint = project, f"{project}-{self._number:08x}"
        run.id = f"{project}-{now:%Y%m%d%H%M%S}-{self._number:08x}"
        run.options = {**run.options, "idle_after": idle_after, "idle_warn_for": warn_for, "idle_action": action}
        run.created_at = run.state_since = run.updated_at = now
        run.outbox = []
        self.app.services.store.table.upsert_entity(entity_of(run, owner="", lease_until=NEVER))
        subject = Subject(run.endpoint, run.id, str(run.deployment), idle_after, warn_for, action, now)
        self.subjects[subject.name] = subject
        self._put(subject, green)
        return subject

    def bring_back(self, subject: Subject) -> None:
        """Bring an endpoint back under its name, as `POST deploy` comes to do."""
        now = self.now()
        with self.app.services.store.claim(subject.run_id) as claim:
            road = (RunState.REGISTERED, RunState.DEPLOYING, RunState.VERIFYING, RunState.LIVE)
            for state in road:
                claim.run.move(state, now=now, trigger="test", reason="brought back")
            claim.run.outbox.clear()
            subject.live_since = claim.run.state_since
        subject.tags, subject.changed_at = {}, None
        self._put(subject, green=False)

    def _put(self, subject: Subject, green: bool) -> None:
        assert self._endpoint is not None
        assert self._deployment is not None
        at = subject.live_since.isoformat()
        subject.has_green = green
        tags = {**self._endpoint["tags"], "finetune.run": subject.run_id}
        traffic = {subject.main: 100}
        dates = {"created": at, "modified": at}
        mine = {"name": subject.name, "tags": tags, "traffic": traffic, "next_traffic": traffic, "ready_at": at}
        self._store.put("endpoint", subject.name, {**self._endpoint, **dates, **mine})
        for name in (subject.main, GREEN) if green else (subject.main,):
            mine = {"name": name, "endpoint": subject.name, "tags": tags}
            self._store.put("deployment", f"{subject.name}/{name}", {**self._deployment, **dates, **mine})

    def delete(self, subject: Subject) -> None:
        """Delete an endpoint as somebody does in the portal."""
        run = self.app.services.store.get(subject.run_id)
        subject.by_others += 1
        subject.by_either += run.removal is not None and run.removal.at >= run.state_since
        at = self.now().isoformat()
        self._store.update("endpoint", subject.name, lambda doc: {**doc, "phase": "Deleting", "ready_at": at})
        for key, _ in self._store.list("deployment", f"{subject.name}/"):
            self._store.delete("deployment", key)

    def tag(self, subject: Subject, tags: Mapping[str, str | None]) -> None:
        """Change tags by hand; Azure dates the change."""
        for name, value in tags.items():
            subject.tags.pop(name, None)
            if value is not None:
                subject.tags[name] = value
        subject.changed_at = self.now()
        at = subject.changed_at.isoformat()

        def changed(doc: dict[str, Any]) -> dict[str, Any]:
            merged = {**doc["tags"], **tags}
            kept = {name: value for name, value in merged.items() if value is not None}
            traffic = endpoint_state.traffic_at(doc, self.now())
            dates = {"phase": "Updating", "modified": at, "ready_at": at}
            return {**doc, **dates, "tags": kept, "traffic": traffic, "next_traffic": traffic}

        self._store.update("endpoint", subject.name, changed)

    # --- questions

    def ask(self, subject: Subject, deployment: str, at: datetime | None = None) -> None:
        """Ask as a stranger: what Azure Monitor counts of it."""
        at = at or self.now()
        subject.requests[deployment].append(at)
        self._count(subject, deployment, at)

    def chat(self, subject: Subject) -> None:
        """Ask as the app does for a person, once it is answered."""
        subject.own_at = self.now()
        self._count(subject, subject.main, subject.own_at)
        own.record(self.app.services, subject.name, subject.main, subject.own_at, subject.own_at)

    def _count(self, subject: Subject, deployment: str, at: datetime) -> None:
        minute = at.replace(second=0, microsecond=0).isoformat()
        key = f"{subject.name}|{minute}|{deployment}|200|200"
        one = {"requests": 1, "total_ms": 9.0, "min_ms": 9.0, "max_ms": 9.0, "connections": 1}
        if not self._store.insert("requests", key, one):
            self._store.update("requests", key, lambda doc: {**doc, "requests": doc["requests"] + 1})

    # --- what is there

    def picture(self) -> Picture:
        """Look at everything, past the app."""
        now = self.now()
        runs, warnings, ledger = {}, {}, defaultdict(int)
        for row in self.app.services.store.table.list_entities():
            key = row["RowKey"]
            if "RunId" in row and "Record0" in row:
                runs[row["RunId"]] = run_of(row)
            elif key.startswith("idle_") and row.get("WarnedAt") is not None:
                warnings[row["Endpoint"], row["Deployment"]] = row
            elif key.startswith("saved_") and not row["Action"].startswith("scaled"):
                ledger[row["Endpoint"]] += 1
        endpoints = {
            doc["name"]: doc
            for _, doc in self._store.list("endpoint")
            if endpoint_state.status_at(doc, now) is not None
        }
        deployments = {
            (doc["endpoint"], doc["name"]): doc
            for _, doc in self._store.list("deployment")
            if doc["endpoint"] in endpoints and (doc["delete_ends"] is None or now.isoformat() < doc["delete_ends"])
        }
        return Picture(endpoints, deployments, runs, warnings, ledger)

    def gone_at(self, name: str, deployment: str | None = None) -> datetime | None:
        """Return when Azure was told to delete something; None: it does not know any more."""
        kind, key = ("endpoint", name) if deployment is None else ("deployment", f"{name}/{deployment}")
        doc = self._store.get(kind, key)
        return None if doc is None else datetime.fromisoformat(doc["ready_at" if deployment is None else "delete_ends"])

    def served(self, picture: Picture, name: str) -> bool:
        return any(endpoint_state.traffic_at(picture.endpoints[name], self.now()).values())


@contextmanager
def one_clock(app: App) -> Iterator[time_machine.Traveller]:
    """Let this process live by the emulator's clock."""
    with time_machine.travel(Clock(app.cloud.state_dir).now(), tick=True) as traveller:
        app.azure.login()
        yield traveller


def restarted(app: App, lag: timedelta) -> None:
    """Let Azure Monitor be so far behind from now on."""
    app.cloud.stop()
    app.cloud.config = replace(app.cloud.config, metrics_lag_s=lag.total_seconds())
    app.cloud.start()
