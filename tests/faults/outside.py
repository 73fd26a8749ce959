"""What must be true after a storm, looked at from outside the app: rows, blobs, and what Azure has and bills."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from shared.runs.parts import Transition
from shared.runs.record import Run
from shared.runs.states import TRANSITIONS, RunState
from tests.faults.storm import Storm
from tests.faults.truths import Truth
from tests.functional.azureml_emulator.core.driver import Wire

_RUN_TAG = "finetune.run"
_BEGAN = ("trained", "registered", "deploying", "verifying", "live")


@dataclass
class Azure:
    """Everything that the workspace has, read once."""

    jobs: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[Mapping[str, Any]] = ()
    endpoints: Sequence[Mapping[str, Any]] = ()
    deployments: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, wire: Wire, seed: int) -> Azure:
        endpoints = _list(wire, "onlineEndpoints")
        names = [model["name"] for model in _list(wire, "models") if f"-s{seed}r" in model["name"]]
        return cls(
            jobs={job["name"]: str(job["properties"]["status"]) for job in _list(wire, "jobs")},
            models=[
                {"name": name, "version": version["name"], "tags": version["properties"].get("tags") or {}}
                for name in names
                for version in _list(wire, f"models/{name}/versions")
            ],
            endpoints=endpoints,
            deployments={
                endpoint["name"]: _list(wire, f"onlineEndpoints/{endpoint['name']}/deployments")
                for endpoint in endpoints
            },
        )


def breaches(storm: Storm, runs: Mapping[str, Run], wire: Wire) -> list[str]:
    """Return everything that is not as it must be, in words; nothing when all is well."""
    azure = Azure.read(wire, storm.seed)
    found = [f"a trigger broke: {broken}" for broken in storm.broken]
    for truth in storm.truths:
        run = runs.get(truth.project)
        if run is None:
            found.append(f"{truth.project} ({truth.kind}): it has no run")
            continue
        told = [*_end(storm, truth, run), *_history(storm, run), *_azure(storm, truth, run, azure), *_blobs(storm, run)]
        found += [f"{run.id} ({truth.kind}): {one}" for one in told]
    found += [f"{count} runs for {project}" for project, count in _counts(storm).items() if count > 1]
    return found + list(_unowned(azure, runs))


def _list(wire: Wire, path: str) -> list[dict[str, Any]]:
    answer = wire("GET", path)
    found: list[dict[str, Any]] = answer.json()["value"] if answer.ok else []
    return found


def _end(storm: Storm, truth: Truth, run: Run) -> Iterator[str]:
    allowed = set(truth.states)
    if truth.person == "cancel":
        # Live only where the app said no; else what was asked for.
        allowed = {"live"} if run.id in storm.refused else {"cancelled", "retired"}
    if run.state not in allowed:
        yield f"ended as {run.state} ({run.failure}), expected {' or '.join(sorted(allowed))}"
    elif run.state in ("failed", "rejected"):
        failure = run.failure
        if failure is None:
            yield f"{run.state} without a reason"
        elif truth.in_state and failure.state != truth.in_state:
            yield f"failed in {failure.state}, expected {truth.in_state}: {failure.message}"
        elif truth.says.lower() not in failure.message.lower():
            yield f"says {failure.message!r}, expected {truth.says!r}"
    elif run.failure is not None:
        yield f"{run.state}, with a failure: {run.failure.message}"
    if run.ending is not None:
        yield f"still ending: {run.ending}"


def _history(storm: Storm, run: Run) -> Iterator[str]:
    history = run.history
    if history[0].from_state is not None or history[0].to_state != RunState.RECEIVED:
        yield "its history does not begin with received"
    for before, after in itertools.pairwise(history):
        if after.from_state != before.to_state:
            yield f"history lost between {before.to_state} and {after.from_state}"
        if after.to_state not in TRANSITIONS[before.to_state]:
            yield f"went from {before.to_state} to {after.to_state}, which is not allowed"
        if after.at < before.at:
            yield f"its history goes back in time at {after.to_state}"
    if history[-1].to_state != run.state:
        yield f"its history ends with {history[-1].to_state}"
    missing = storm.seen.get(run.project, set()) - {line.to_state.value for line in history}
    if missing:
        yield f"was seen as {', '.join(sorted(missing))}, of which its history has nothing"
    for tried in _tries(history):
        twice = [state for state, count in Counter(line.to_state for line in tried).items() if count > 1]
        if twice:
            yield f"entered {', '.join(twice)} more than once"


def _tries(history: Sequence[Transition]) -> list[list[Transition]]:
    """Divide a history where a person let the run go on."""
    tries: list[list[Transition]] = [[]]
    for line in history:
        if line.from_state == RunState.FAILED:
            tries.append([])
        tries[-1].append(line)
    return tries


def _azure(storm: Storm, truth: Truth, run: Run, azure: Azure) -> Iterator[str]:
    yield from _jobs(storm, truth, run, azure)
    models = [f"{m['name']}:{m['version']}" for m in azure.models if m["tags"].get(_RUN_TAG) == run.id]
    is_registered = any(line.to_state == RunState.REGISTERED for line in run.history)
    if is_registered and models != [f"{run.model_name}:{run.model_version}"]:
        yield f"has the model versions {models}, its record says {run.model_name}:{run.model_version}"
    if len(models) > 1 or (models and not any(line.to_state == "trained" for line in run.history)):
        yield f"has the model versions {models}"
    ours = [endpoint for endpoint in azure.endpoints if endpoint["tags"].get(_RUN_TAG) == run.id]
    if run.state != RunState.LIVE:
        if ours:
            yield f"is {run.state}, and has the endpoints {[endpoint['name'] for endpoint in ours]}"
        return
    if [endpoint["name"] for endpoint in ours] != [run.endpoint]:
        yield f"is live at {run.endpoint}, and has the endpoints {[endpoint['name'] for endpoint in ours]}"
        return
    deployments = {d["name"]: d["properties"]["provisioningState"] for d in azure.deployments[str(run.endpoint)]}
    if deployments != {run.deployment: "Succeeded"}:
        yield f"is live with the deployments {deployments}"
    if ours[0]["properties"]["traffic"] != {run.deployment: 100}:
        yield f"is live, and its traffic is {ours[0]['properties']['traffic']}"


def _jobs(storm: Storm, truth: Truth, run: Run, azure: Azure) -> Iterator[str]:
    jobs = {name: status for name, status in azure.jobs.items() if name.startswith(run.id)}
    if truth.jobs is not None and len(jobs) != truth.jobs:
        yield f"has the jobs {jobs}, expected {truth.jobs}"
    if len(jobs) > run.job_retries + 1:
        yield f"has the jobs {jobs} after {run.job_retries} retries"
    for name, status in jobs.items():
        if status not in ("Completed", "Failed", "Canceled"):
            yield f"job {name} is {status}"
        if status != "Canceled" and "preempt" not in truth.faults:
            began = storm.place.cloud.trainings(name).count("start")
            if began != 1:
                yield f"job {name} was started {began} times"


def _blobs(storm: Storm, run: Run) -> Iterator[str]:
    blob = storm.place.storage.get_blob_client("runs", f"{run.id}/status.json")
    try:
        told = json.loads(blob.download_blob().readall())["state"]
    except ResourceNotFoundError:
        told = "nothing"
    if told != run.state:
        yield f"is {run.state}, and its status.json tells {told}"


def _counts(storm: Storm) -> Counter[str]:
    query = f"PartitionKey eq 'run' and Project ge 's{storm.seed}r' and Project lt 's{storm.seed}s'"
    return Counter(row["Project"] for row in storm.place.table.query_entities(query, select=["Project"]))


def _unowned(azure: Azure, runs: Mapping[str, Run]) -> Iterable[str]:
    """Whatever bills belongs to a run that is live."""
    live = {run.endpoint for run in runs.values() if run.state == RunState.LIVE}
    for endpoint in azure.endpoints:
        if endpoint["tags"].get("owner") == "somebody-else":
            if azure.deployments[endpoint["name"]]:
                yield f"somebody else's endpoint {endpoint['name']} has a deployment of ours"
        elif endpoint["name"] not in live:
            yield f"endpoint {endpoint['name']} with {len(azure.deployments[endpoint['name']])} deployments is nobody's"
