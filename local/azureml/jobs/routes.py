"""The jobs API: put, get, list, cancel."""

import re
import uuid
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml.arm import location_header, properties_of
from local.azureml.http import ARM, AzureError, empty_response, json_response, threaded, timestamp
from local.azureml.jobs import records, state, wire
from local.azureml.jobs.lookup import WorkspaceLookup
from local.azureml.jobs.plan import STEPS, make_plan
from local.azureml.jobs.state import Job
from local.azureml.mlflow.state import DEFAULT_EXPERIMENT, STEP_KIND, ensure_experiment
from local.azureml.services import Services

_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,254}")


def routes(services: Services) -> list[Route]:
    base_url = services.config.base_url

    def put(request: Request, payload: dict[str, Any]) -> Response:
        job = put_job(services, request.path_params["name"], properties_of(payload))
        headers = {"Location": location_header(request, base_url)}
        return json_response(wire.job_json(job, base_url), 201, headers)

    def get(request: Request, _: dict[str, Any]) -> Response:
        name = request.path_params["name"]
        child = services.store.get(STEP_KIND, name)
        if child is not None:
            return json_response(wire.child_json(name, records.get(services, child["job"]).created_at))
        return json_response(wire.job_json(records.get(services, name), base_url))

    def list_(request: Request, _: dict[str, Any]) -> Response:
        view = request.query_params.get("listViewType", "ActiveOnly").lower()
        tag = request.query_params.get("tag")
        jobs = [Job.from_doc(doc) for _, doc in services.store.list(state.KIND)]
        shown = [job for job in jobs if _in_view(job, view) and _has_tag(job, tag)]
        newest_first = sorted(shown, key=lambda job: job.created_at, reverse=True)
        return json_response({"value": [wire.job_json(job, base_url) for job in newest_first]})

    def cancel(request: Request, _: dict[str, Any]) -> Response:
        name = request.path_params["name"]
        cancel_job(services, name)
        location = location_header(request, base_url).replace(f"/jobs/{name}/cancel?", f"/jobs/{name}?")
        return empty_response(202, {"Location": location})

    one = f"{ARM}/jobs/{{name}}"
    return [
        Route(f"{ARM}/jobs", threaded(list_)),
        Route(one, threaded(get)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(f"{one}/cancel", threaded(cancel), methods=["POST"]),
    ]


def put_job(services: Services, name: str, sent: dict[str, Any]) -> Job:
    """Take a job in, or change what may be changed of the one with this name.

    Idempotency: the name. A job runs once, however often it is put.
    Raises: AzureError: 400 or 404 when it cannot run, or would change what an existing job runs.
    """
    if _NAME.fullmatch(name) is None:
        raise AzureError(400, "UserError", f"The job name {name!r} is invalid.", inner=("BadArgument",))
    if records.find(services, name) is None:
        job = _new_job(services, name, sent)
        for step in job.steps:
            services.store.put(STEP_KIND, step.run_id, {"job": name, "step": step.name})
        # Marked first: a job in the store without its mark would never be taken up.
        services.store.put(state.ACTIVE_KIND, name, {})
        if services.store.insert(state.KIND, name, job.to_doc()):
            return job
    return records.move(services, name, lambda job, _: _changed(job, sent))


def cancel_job(services: Services, name: str) -> None:
    """Ask for the end of a job. Raises: AzureError: 400 when it has ended already, 404 when there is none."""
    records.get(services, name)
    try:
        records.move(services, name, state.request_cancel)
    except state.JobEndedError as fault:
        message = f"The pipeline run {name} is in terminal status, it can't be canceled."
        inner = ("BadArgument", "ArgumentInvalid", "CancelPipelineRunInTerminalStatus")
        raise AzureError(400, "UserError", message, inner=inner) from fault


def _new_job(services: Services, name: str, sent: dict[str, Any]) -> Job:
    plan = make_plan(sent, WorkspaceLookup(services))
    first, last = ([(node.node, node.component, node.version)] if node else [] for node in (plan.command, plan.after))
    now = services.now()
    experiment = str(sent.get("experimentName") or DEFAULT_EXPERIMENT)
    created = timestamp(now)
    return Job(
        name=name,
        number=int(now.timestamp()),
        run_uuid=str(uuid.uuid4()),
        created_at=created,
        entered_at=created,
        request=sent,
        node=plan.node,
        inputs=plan.inputs,
        files=plan.files,
        outputs=plan.outputs,
        requested_model=plan.requested_model,
        experiment_id=ensure_experiment(services.store, experiment, now),
        experiment_name=experiment,
        steps=tuple(
            state.Step(node, component, version, state.step_run_id(name, node))
            for node, component, version in (*first, *STEPS, *last)
        ),
        tags={str(key): str(value) for key, value in (sent.get("tags") or {}).items()},
        command=plan.command.to_doc() if plan.command else None,
        after=plan.after.to_doc() if plan.after else None,
    )


def _changed(job: Job, sent: dict[str, Any]) -> Job:
    request, tags = wire.merged_request(job, sent)
    return replace(job, request=request, tags=tags)


def _in_view(job: Job, view: str) -> bool:
    archived = bool(job.request.get("isArchived"))
    return {"activeonly": not archived, "archivedonly": archived}.get(view, True)


def _has_tag(job: Job, tag: str | None) -> bool:
    if not tag:
        return True
    key, equals, value = tag.partition("=")
    return key in job.tags and (not equals or job.tags[key] == value)
