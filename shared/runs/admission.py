"""How many runs may be under way, and how many endpoints alive, at once; the others wait for their turn."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import TransientError
from shared.runs import ledger, names, turns
from shared.runs.context import Context, Waiting
from shared.runs.ledger import SERVED_LIMIT, Ledger, Page
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services

TRIES = 20
_TOO_MANY_AT_ONCE = "Too many workers ask for a turn at once."


def admit(context: Context) -> Waiting | None:
    """received, and prepared after an approval: wait until fewer than MAX_ACTIVE_RUNS are under way and it is this
    run's turn; None: it may begin.

    A run is under way from its turn on until it is live, held, or has ended. One that waits is in line: nobody looks
    at it until `give_turns` says so.
    Idempotency: a run that had its turn has it until nothing moves it any more.
    """
    run, services = context.run, context.services
    if run.admitted:
        return None
    most = services.settings.max_active_runs
    waiting = Waiting(f"its turn: not more than {most} runs (MAX_ACTIVE_RUNS) may be under way at once")
    is_new = run.ticket is None
    run.ticket = run.ticket or secrets.token_hex(8)
    if len(ledger.under_way(services.store)) >= most:
        return waiting
    if is_new:
        context.save()  # a turn is given to those who are seen in line only
    if run.id not in give_turns(services):
        return waiting
    run.ticket, run.admitted = None, True
    return None


def step_out(run: Run) -> None:
    """Leave the line, or give the turn back: the run waits for something else."""
    run.ticket, run.admitted = None, False


def give_turns(services: Services) -> list[str]:
    """Give the free places to those in line, and return all runs that have a turn and have not begun.

    Idempotency: the ledger's ETag; of two workers that choose at once, the later one chooses anew.
    """
    store, most = services.store, services.settings.max_active_runs
    if len(ledger.under_way(store)) >= most:
        return []
    book = Ledger(store, "runs")
    for _ in range(TRIES):
        page, etag = book.read()
        # The line before those under way: whoever begins in between is seen twice rather than not at all.
        line = ledger.line(store)
        chosen = turns.choose(line, ledger.under_way(store), page.grants, page.served, most)
        if not chosen.given or book.write(_with(page, chosen), etag):
            return chosen.run_ids
    raise TransientError(_TOO_MANY_AT_ONCE)


def places(services: Services) -> dict[str, tuple[int, int]]:
    """Return the place in line of every run that waits for its turn, and how many there are."""
    page, _ = Ledger(services.store, "runs").read()
    line = ledger.line(services.store)
    order = turns.places(line, ledger.under_way(services.store), page.grants, page.served)
    return {run_id: (place, len(order)) for place, run_id in enumerate(order, 1)}


def admit_endpoint(context: Context) -> Waiting | None:
    """registered: wait until fewer than MAX_LIVE_ENDPOINTS are alive and no older run waits; None: it may be deployed.

    An endpoint is alive from the begin of its deployment until its run is retired; one that several runs share counts
    once. Idempotency: the ledger's ETag.
    """
    run, services = context.run, context.services
    most = services.settings.max_live_endpoints
    book = Ledger(services.store, "endpoints")
    for _ in range(TRIES):
        page, etag = book.read()
        near = ledger.near_endpoints(services.store)
        grants = _grants(page, near)
        if _grant_key(run) in grants:
            return None
        wanted = endpoint_of(context)
        alive = {row["Endpoint"] for row in near if row["State"] != RunState.REGISTERED} | set(grants.values())
        if wanted not in alive and len(alive) + _before(run.id, near, grants) >= most:
            return Waiting(f"an endpoint to be removed: not more than {most} (MAX_LIVE_ENDPOINTS) may be alive at once")
        if book.write(Page(grants={**grants, _grant_key(run): wanted}), etag):
            return None
    raise TransientError(_TOO_MANY_AT_ONCE)


def endpoint_of(context: Context) -> str:
    """Return the name of the endpoint that a run is going to have; a shared one for a project that rolls out."""
    run, chosen = context.run, context.options.deploy
    if chosen.is_blue_green:
        return chosen.endpoint or names.project_endpoint_name(context.services.azureml.workspace_id, run.project)
    return chosen.endpoint or names.endpoint_name(run.id, run.project)


def _with(page: Page, chosen: turns.Turns) -> Page:
    """Return the ledger with the turns that were given; what was used is forgotten."""
    served = [*page.served, *(run.project for run in chosen.given)]
    latest = list(dict.fromkeys(reversed(served)))[:SERVED_LIMIT][::-1]
    return Page(grants={run.run_id: run.ticket for run in (*chosen.kept, *chosen.given)}, served=latest)


def _grant_key(run: Run) -> str:
    """Return the key of a place: a run that comes to be deployed once more asks for a place of its own."""
    return f"{run.id} {run.state_since:%Y%m%d%H%M%S%f}"


def _grants(page: Page, near: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the places that were given to runs which do not show it yet."""
    registered = {row["RunId"] for row in near if row["State"] == RunState.REGISTERED}
    return {key: endpoint for key, endpoint in page.grants.items() if key.partition(" ")[0] in registered}


def _before(run_id: str, near: Sequence[Mapping[str, Any]], grants: Mapping[str, str]) -> int:
    """Count the older runs that wait for an endpoint, too."""
    granted = {key.partition(" ")[0] for key in grants}
    waiting = [row["RunId"] for row in near if row["State"] == RunState.REGISTERED and row["RunId"] not in granted]
    return waiting.index(run_id) if run_id in waiting else len(waiting)
