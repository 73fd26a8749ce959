"""The run history API under /history/v1.0: a run, its details, its children, its data; and the logs it points to."""

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.azureml.http import ARM, AzureError, json_response, threaded
from local.azureml.run_history import state, wire
from local.azureml.services import Services


def routes(services: Services) -> list[Route]:
    base_url = services.config.base_url

    def run_of(run_id: str) -> dict[str, Any]:
        job, step = state.find(services, run_id)
        return wire.pipeline_run(job, base_url) if step is None else wire.step_run(job, step, base_url)

    def get(request: Request, _: dict[str, Any]) -> Response:
        return json_response(run_of(request.path_params["run_id"]))

    def details(request: Request, _: dict[str, Any]) -> Response:
        run_id = request.path_params["run_id"]
        logs = state.log_urls(services, *state.find(services, run_id))
        return json_response(wire.details(run_of(run_id), logs))

    def children(request: Request, _: dict[str, Any]) -> Response:
        job, step = state.find(services, request.path_params["run_id"])
        runs = [] if step else [wire.step_run(job, child, base_url) for child in job.steps]
        return json_response({"value": runs})

    def run_data(_: Request, payload: dict[str, Any]) -> Response:
        run_id = str(payload.get("runId") or "")
        job, step = state.find(services, run_id)
        if step is not None:
            return json_response({"runMetadata": run_of(run_id), "runDefinition": None})
        return json_response(wire.run_data(job, base_url))

    def log(request: Request, _: dict[str, Any]) -> Response:
        run_id, name = request.path_params["run_id"], request.path_params["path"]
        try:
            text = state.read_log(services, run_id, name, request.query_params.get("sig", ""))
        except AzureError as fault:
            return PlainTextResponse(fault.message, fault.status, {"x-ms-error-code": fault.code})
        return PlainTextResponse(text)

    run = f"/history/v1.0{ARM}/runs/{{run_id}}"
    return [
        Route(run, threaded(get)),
        Route(f"{run}/details", threaded(details)),
        Route(f"{run}/children", threaded(children)),
        Route(f"/history/v1.0{ARM}/rundata", threaded(run_data), methods=["POST"]),
        Route(state.LOG_ROUTE, threaded(log)),
    ]
