"""What a person may ask about endpoints: which there are, to remove one now, to keep one for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.azureml import endpoints
from shared.azureml.endpoints import Endpoint
from shared.azureml.pipeline import RUN_TAG
from shared.errors import ActionRefusedError, EndpointNotFoundError, RunBusyError
from shared.idle.policy import OPT_IN_TAG, Action
from shared.runs import endpoint_lock
from shared.runs.record import Run, wants_work
from shared.services import Services
from shared.sweeps.census import Runs, Seen, look
from shared.sweeps.memory import forget, recall, remember
from shared.sweeps.records import Did
from shared.sweeps.retiring import begin, finish

TRIES = 5


def list_ours(services: Services) -> Sequence[tuple[Endpoint, Run | None]]:
    """Return the endpoints that carry our tag, with their runs."""
    found = [one for one in endpoints.list_endpoints(services.azureml) if RUN_TAG in one.tags]
    runs = Runs.load(services) if found else None
    return [(endpoint, runs.owner(services, endpoint)) for endpoint in found if runs is not None]


def remove_endpoint(services: Services, name: str, *, trigger: str, reason: str) -> Run | None:
    """Begin to remove an endpoint of ours, and retire its run.

    Raises: EndpointNotFoundError: not there, or not ours; ActionRefusedError: its run is still on its way;
    EndpointBusyError: another run is being rolled out on it; RunBusyError.
    """
    one = _find(services, name)
    if one is None or not one.is_ours:
        raise EndpointNotFoundError(name)
    run = one.run
    if run is None:
        endpoints.begin_delete_endpoint(services.azureml, name)
        return None
    if wants_work(run):
        raise ActionRefusedError(f"Run {run.id} is {run.state} and needs its endpoint. POST /api/runs/{run.id}/cancel.")
    with endpoint_lock.held(services, name, run.id), services.store.claim(run.id) as claim:
        if claim.run.state != run.state:
            raise RunBusyError(f"run {run.id} has become {claim.run.state} in the meantime")
        removal = begin(services, claim, one, Action.DELETE_ENDPOINT, "by_hand", reason)
        endpoints.begin_delete_endpoint(services.azureml, name)
        finish(services, claim, trigger, Did.REMOVED, removal)
    forget(services, name)
    return claim.run


def keep(services: Services, name: str, hours: float) -> datetime:
    """Keep an endpoint from the sweep for some hours from now; 0 hours: not any longer. Returns until when.

    A warning that was given is withdrawn by the next sweep.
    Raises: EndpointNotFoundError: not there, or neither ours nor under the sweep's care; RunBusyError.
    """
    endpoint = endpoints.find_endpoint(services.azureml, name)
    if endpoint is None or not (RUN_TAG in endpoint.tags or OPT_IN_TAG in endpoint.tags):
        raise EndpointNotFoundError(name)
    until = services.now() + timedelta(hours=hours)
    for _ in range(TRIES):
        if remember(services, replace(recall(services, endpoint.name), keep_until=until)) is not None:
            return until
    raise RunBusyError(f"What is remembered of endpoint {name} keeps changing; try again in a moment")


def _find(services: Services, name: str) -> Seen | None:
    endpoint = endpoints.find_endpoint(services.azureml, name)
    if endpoint is None:
        return None
    (one,) = look(services, [endpoint], Runs.load(services))
    return one
