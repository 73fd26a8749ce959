"""What there is: endpoints, the runs they belong to, their deployments, their use. Gathered with few calls to Azure.

For each endpoint one call, for its deployments; all else is asked for many at once: the endpoints by pages, runs and
memories by a query each, the traffic by batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.azureml import endpoints
from shared.azureml.endpoints import Deployment, Endpoint
from shared.azureml.pipeline import RUN_TAG
from shared.azureml.trouble import understood
from shared.errors import FinetuneError
from shared.idle.decision import longest_look_back
from shared.idle.policy import OPT_IN_TAG, Policy, policy_for
from shared.runs.options import effective
from shared.runs.record import Run, wants_work
from shared.runs.states import MOVING, RunState
from shared.services import Services
from shared.sweeps.memory import Memory, recall_all
from shared.sweeps.patience import patiently
from shared.traffic import own
from shared.traffic.readings import Asked, Reading, Unread

UNREAD = Unread("it was not read")
WORKERS = 10
"""Calls under way at once: so many connections the SDK keeps open. Azure Resource Manager allows far more."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One endpoint with all that is known of it. run: its run; None: none that is known here.

    deployments: None while they were not asked for, or could not be read; fault says why.
    """

    endpoint: Endpoint
    is_ours: bool
    run: Run | None
    policy: Policy
    memory: Memory
    of_deployments: Mapping[str, Memory] = field(default_factory=dict)
    deployments: Sequence[Deployment] | None = None
    reading: Reading | Unread = UNREAD
    fault: str = ""
    rollout: str | None = None
    """The run that is being rolled out on it, other than its own."""


@dataclass(frozen=True)
class Runs:
    """The runs that matter to a sweep: the live ones by endpoint, the moving ones by id and by endpoint."""

    live: Mapping[str, Run]
    by_id: Mapping[str, Run]
    moving_on: Mapping[str, Run]

    @classmethod
    def load(cls, services: Services) -> Runs:
        """Read them with one query."""
        found = services.store.in_states(MOVING | {RunState.LIVE})
        live = [run for run in found if run.state == RunState.LIVE]
        moving = [run for run in found if run.state != RunState.LIVE]
        return cls(
            live={str(run.endpoint).lower(): run for run in live},
            by_id={run.id: run for run in (*live, *moving)},
            moving_on={run.endpoint.lower(): run for run in moving if run.endpoint},
        )

    def owner(self, services: Services, endpoint: Endpoint) -> Run | None:
        """Return the run of an endpoint that is ours: the one that its tag names; of a shared one, the live one.

        The tag of a shared endpoint changes with its traffic, and back; the run that is recorded as live there owns it.
        """
        tagged = self.by_id.get(endpoint.tags[RUN_TAG]) or services.store.find(endpoint.tags[RUN_TAG])
        if tagged is not None and (wants_work(tagged) or tagged.state == RunState.LIVE):
            return tagged
        return self.live.get(endpoint.name.lower(), tagged)


def list_endpoints(services: Services) -> list[Endpoint]:
    """Return all endpoints of the workspace. Asked before the runs: what goes live in between is live in `Runs`."""
    return patiently(lambda: endpoints.list_endpoints(services.azureml))


def look(services: Services, found: Sequence[Endpoint], runs: Runs) -> list[Seen]:
    """Look at endpoints: whose they are, what they are made of, how they are used."""
    memories = recall_all(services)
    seen = [_identified(services, endpoint, runs, memories) for endpoint in found]
    with ThreadPoolExecutor(WORKERS) as pool:
        seen = list(pool.map(lambda one: _with_deployments(services, one), seen))
    return with_use(services, seen)


def look_again(services: Services, one: Seen) -> Seen | None:
    """Look at one endpoint once more, just before something is done about it; None: it is gone."""
    found = endpoints.find_endpoint(services.azureml, one.endpoint.name)
    if found is None:
        return None
    again = replace(one, endpoint=found, policy=_policy(services, found, one.run, one.memory))
    (seen,) = with_use(services, [_with_deployments(services, again)])
    return seen


def with_use(services: Services, seen: Sequence[Seen]) -> list[Seen]:
    """Read the traffic of those whose use matters."""
    now = services.now()
    asked = {one.endpoint.name: _asked(one, now) for one in seen if _matters(one)}
    if not asked:
        return list(seen)
    earliest = min(one.since for one in asked.values())
    recorded = own.recorded(services, earliest)
    wanted = [replace(one, own=tuple(recorded.get(name, ()))) for name, one in asked.items()]
    readings = services.traffic.read(wanted, now)
    return [replace(one, reading=readings.get(one.endpoint.name, one.reading)) for one in seen]


def _identified(
    services: Services, endpoint: Endpoint, runs: Runs, memories: Mapping[tuple[str, str | None], Memory]
) -> Seen:
    name = endpoint.name.lower()
    memory = memories.get((name, None)) or Memory(endpoint=endpoint.name)
    is_ours, run, fault = RUN_TAG in endpoint.tags, None, ""
    try:
        with understood(f"looking for the run of endpoint {endpoint.name}"):
            run = runs.owner(services, endpoint) if is_ours else None
    except FinetuneError as trouble:
        fault = str(trouble)
    moving = runs.moving_on.get(name)
    return Seen(
        endpoint=endpoint,
        is_ours=is_ours,
        run=run,
        policy=_policy(services, endpoint, run, memory),
        memory=memory,
        of_deployments={key[1]: found for key, found in memories.items() if key[0] == name and key[1] is not None},
        fault=fault,
        rollout=moving.id if moving is not None and (run is None or moving.id != run.id) else None,
    )


def _policy(services: Services, endpoint: Endpoint, run: Run | None, memory: Memory) -> Policy:
    options = effective(run.options, services.settings) if run is not None else None
    return policy_for(services.settings, options, endpoint.tags, memory.keep_until)


def _with_deployments(services: Services, one: Seen) -> Seen:
    """Ask for the deployments: of all endpoints, because all of them cost, also those that are only reported."""
    if one.fault:
        return one
    try:
        found = patiently(lambda: endpoints.list_deployments(services.azureml, one.endpoint.name))
        return replace(one, deployments=found)
    except FinetuneError as trouble:
        return replace(one, fault=str(trouble))


def _matters(one: Seen) -> bool:
    """Tell whether it matters how an endpoint is used: it may be removed for it, and there is something to use."""
    if one.fault or not one.deployments or one.endpoint.state == endpoints.DELETING:
        return False
    if one.run is not None:
        return not wants_work(one.run)
    return not one.is_ours and one.endpoint.tags.get(OPT_IN_TAG, "").lower() == "true"


def _asked(one: Seen, now: datetime) -> Asked:
    spans = [longest_look_back(one.policy, memory.warned, now) for memory in (one.memory, *one.of_deployments.values())]
    return Asked(
        name=one.endpoint.name,
        id=one.endpoint.id,
        location=one.endpoint.location,
        since=now - max(spans),
        deployments=tuple(deployment.name for deployment in one.deployments or ()),
    )
