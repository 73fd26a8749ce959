"""The HTTP API: start, show, approve, deploy, cancel, retry, chat with, and clean up by hand."""

from __future__ import annotations

from http import HTTPStatus

import azure.functions as func

from functions.parsing import ChatRequest, StartRequest, amount, body_of, count, flag, wants_page
from functions.responses import answering, json_response, page_response
from shared.azureml.jobs import metric_histories
from shared.errors import InvalidRequestError, SettingsError
from shared.runs import actions, chat, reception
from shared.runs.reports import report_of, report_page_of
from shared.runs.states import RunState
from shared.runs.view import shown
from shared.services import services
from shared.sweeps import archive, by_hand
from shared.sweeps.sweep import sweep

bp = func.Blueprint()
PAGE, LARGEST_PAGE = 50, 500
LONGEST_KEEP_HOURS = 366 * 24


@bp.route("runs", methods=["POST"])
@answering
def start_run(req: func.HttpRequest) -> func.HttpResponse:
    """Record a run for a dataset that lies in storage. 202: new, 200: it was there already."""
    asked = body_of(req, StartRequest)
    run, is_new = reception.receive_by_name(services(), asked.dataset, options=asked.options)
    status = HTTPStatus.ACCEPTED if is_new else HTTPStatus.OK
    return json_response(run, status, {"Location": f"/api/runs/{run.id}"})


@bp.route("runs", methods=["GET"])
@answering
def list_runs(req: func.HttpRequest) -> func.HttpResponse:
    """List runs, newest first; `state`, `project`, `top`, and `next` to continue."""
    state = req.params.get("state")
    if state is not None and state not in set(RunState):
        raise InvalidRequestError(f"state is {state!r}, expected one of {', '.join(RunState)}")
    page = services().store.page(
        state=RunState(state) if state else None,
        project=req.params.get("project"),
        size=count(req, "top", default=PAGE, most=LARGEST_PAGE),
        token=req.params.get("next"),
    )
    return json_response({"value": shown(services(), page.runs), "next": page.next_token})


@bp.route("runs/{run_id}", methods=["GET"])
@answering
def show_run(req: func.HttpRequest) -> func.HttpResponse:
    """Show a run: its state, history and costs, what it made, its place in line, what may be asked of it."""
    run = services().store.get(req.route_params["run_id"])
    run.costs = run.costs.at(services().now())
    (view,) = shown(services(), [run])
    return json_response(view)


@bp.route("runs/{run_id}/report", methods=["GET"])
@answering
def show_report(req: func.HttpRequest) -> func.HttpResponse:
    """Show what preparation found in the dataset: JSON, or a page for browsers and `format=html`."""
    run_id = req.route_params["run_id"]
    if wants_page(req):
        return page_response(report_page_of(services(), run_id))
    return json_response(report_of(services(), run_id), headers={"Vary": "Accept"})


@bp.route("runs/{run_id}/metrics", methods=["GET"])
@answering
def show_metrics(req: func.HttpRequest) -> func.HttpResponse:
    """Show the metrics of the run's job, live while it trains: {metric: [{step, value}]}."""
    run = services().store.get(req.route_params["run_id"])
    histories = metric_histories(services().plane, run.job_name) if run.job_name and run.job_status else {}
    return json_response({"run": run.id, "job": run.job_name, "metrics": histories})


@bp.route("runs/{run_id}/approve", methods=["POST"])
@answering
def approve_run(req: func.HttpRequest) -> func.HttpResponse:
    """Let a held run go on."""
    return json_response(actions.approve(services(), req.route_params["run_id"]), HTTPStatus.ACCEPTED)


@bp.route("runs/{run_id}/deploy", methods=["POST"])
@answering
def deploy_run(req: func.HttpRequest) -> func.HttpResponse:
    """Deploy a run that the quality gate holds, or bring a retired one back."""
    return json_response(actions.deploy(services(), req.route_params["run_id"]), HTTPStatus.ACCEPTED)


@bp.route("runs/{run_id}/cancel", methods=["POST"])
@answering
def cancel_run(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a run that has not ended."""
    return json_response(actions.cancel(services(), req.route_params["run_id"]), HTTPStatus.ACCEPTED)


@bp.route("runs/{run_id}/retry", methods=["POST"])
@answering
def retry_run(req: func.HttpRequest) -> func.HttpResponse:
    """Continue a failed run from the step that failed."""
    return json_response(actions.retry(services(), req.route_params["run_id"]), HTTPStatus.ACCEPTED)


@bp.route("runs/{run_id}/chat", methods=["POST"])
@answering
def chat_with_run(req: func.HttpRequest) -> func.HttpResponse:
    """Ask the run's endpoint; the key stays here."""
    asked = body_of(req, ChatRequest)
    answer = chat.chat(services(), req.route_params["run_id"], asked.messages, asked.parameters)
    return json_response(
        {"answer": answer.text, "latency_ms": round(answer.latency_ms), "deployment": answer.deployment}
    )


@bp.route("endpoints", methods=["GET"])
@answering
def list_endpoints(req: func.HttpRequest) -> func.HttpResponse:
    """List the endpoints that this app made, with their runs."""
    value = [
        {
            "name": endpoint.name,
            "state": endpoint.state,
            "scoring_uri": endpoint.scoring_uri,
            "traffic": dict(endpoint.traffic),
            "created_at": endpoint.created_at,
            "run": run.id if run else None,
            "run_state": run.state if run else None,
            "project": run.project if run else None,
        }
        for endpoint, run in by_hand.list_ours(services())
    ]
    return json_response({"value": value})


@bp.route("endpoints/{name}", methods=["DELETE"])
@answering
def delete_endpoint(req: func.HttpRequest) -> func.HttpResponse:
    """Remove an endpoint by hand; its run is retired, its model stays registered."""
    name = req.route_params["name"]
    run = by_hand.remove_endpoint(services(), name, trigger="http", reason="removed by hand")
    return json_response({"endpoint": name, "run": run}, HTTPStatus.ACCEPTED)


@bp.route("endpoints/{name}/keep", methods=["POST"])
@answering
def keep_endpoint(req: func.HttpRequest) -> func.HttpResponse:
    """Keep an endpoint from the sweep for `hours`, 8 if not given; 0 gives it back."""
    name = req.route_params["name"]
    until = by_hand.keep(services(), name, amount(req, "hours", default=8, most=LONGEST_KEEP_HOURS))
    return json_response({"endpoint": name, "keep_until": until})


@bp.route("sweeps", methods=["GET"])
@answering
def list_sweeps(req: func.HttpRequest) -> func.HttpResponse:
    """List the newest sweeps, `top` of them: what was looked at, what was idle, what was done, the money."""
    return json_response({"value": archive.summaries(services(), count(req, "top", default=PAGE, most=LARGEST_PAGE))})


@bp.route("sweeps/{sweep_id}", methods=["GET"])
@answering
def show_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Show a sweep with every endpoint: what was found, what was done, why."""
    return json_response(archive.find(services(), req.route_params["sweep_id"]))


@bp.route("sweeps", methods=["POST"])
@answering
def start_sweep(req: func.HttpRequest) -> func.HttpResponse:
    """Look for idle endpoints now; `dry_run=true` only says what would be removed."""
    return json_response(sweep(services(), trigger="http", dry_run=flag(req, "dry_run")))


@bp.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether the app has what it needs to start. Anonymous, so it names no setting."""
    try:
        services()
    except SettingsError as fault:
        body = {"status": "misconfigured", "faults": len(fault.faults)}
        return json_response(body, HTTPStatus.SERVICE_UNAVAILABLE)
    return json_response({"status": "ok"})
