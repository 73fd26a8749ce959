"""MLflow's REST calls under the workspace's tracking URI (/mlflow/v1.0 or /mlflow/v2.0, then the workspace's id)."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml.http import ARM, body, json_response
from local.azureml.mlflow import search, state, wire
from local.azureml.mlflow.errors import MlflowError
from local.azureml.services import Services

Payload = Mapping[str, Any]
Call = Callable[[Services, Payload], dict[str, Any]]

_MAX_BATCH = 1000
_MAX_PAGE = 50_000
_DEFAULT_SEARCH_PAGE = 1000
_DEFAULT_HISTORY_PAGE = 25_000


def routes(services: Services) -> list[Route]:
    return [
        Route(f"/mlflow/{version}{ARM}/api/2.0/mlflow/{path}", _handler(services, call), methods=[method])
        for version in ("v1.0", "v2.0")
        for method, path, call in _CALLS
    ]


def get_run(services: Services, sent: Payload) -> dict[str, Any]:
    return {"run": wire.run_json(state.find_run(services, _run_id(sent)))}


def create_run(services: Services, sent: Payload) -> dict[str, Any]:
    tags = wire.read_pairs(sent.get("tags"))
    experiment = _experiment(services, str(sent.get("experiment_id") or "0"))
    run = state.new_run(
        services,
        experiment["experiment_id"],
        str(sent.get("run_name") or tags.get("mlflow.runName") or "run"),
        str(sent.get("user_id") or tags.get("mlflow.user") or "local"),
        int(sent.get("start_time") or _now(services)),
        tags,
    )
    return {"run": wire.run_json(run)}


def update_run(services: Services, sent: Payload) -> dict[str, Any]:
    end_time = int(sent["end_time"]) if sent.get("end_time") else None
    run = state.update_run(services, _run_id(sent), sent.get("status"), end_time, sent.get("run_name"))
    return {"run_info": wire.run_json(run)["info"]}


def search_runs(services: Services, sent: Payload) -> dict[str, Any]:
    conditions = search.parse(sent.get("filter"))
    experiments = {_default_id(str(key)) for key in sent.get("experiment_ids") or []}
    found = [
        run
        for run in state.every_run(services)
        if (not experiments or run["experiment_id"] in experiments) and search.matches(conditions, wire.run_fields(run))
    ]
    found = search.ordered(found, sent.get("order_by") or [], wire.run_fields)
    page, token = _page(found, sent, _DEFAULT_SEARCH_PAGE)
    return {"runs": [wire.run_json(run) for run in page], **token}


def log_metric(services: Services, sent: Payload) -> dict[str, Any]:
    state.log(services, _run_id(sent), points=[wire.read_point(sent, _now(services))])
    return {}


def log_parameter(services: Services, sent: Payload) -> dict[str, Any]:
    state.log(services, _run_id(sent), params=wire.read_pairs([sent]))
    return {}


def set_tag(services: Services, sent: Payload) -> dict[str, Any]:
    state.log(services, _run_id(sent), tags=wire.read_pairs([sent]))
    return {}


def delete_tag(services: Services, sent: Payload) -> dict[str, Any]:
    state.delete_tag(services, _run_id(sent), str(sent.get("key")))
    return {}


def log_batch(services: Services, sent: Payload) -> dict[str, Any]:
    metrics = sent.get("metrics") or []
    if len(metrics) > _MAX_BATCH:
        raise MlflowError("INVALID_PARAMETER_VALUE", f"A batch takes {_MAX_BATCH} metrics, not {len(metrics)}.")
    points = [wire.read_point(metric, _now(services)) for metric in metrics]
    params, tags = wire.read_pairs(sent.get("params")), wire.read_pairs(sent.get("tags"))
    state.log(services, _run_id(sent), points=points, params=params, tags=tags)
    return {}


def accept(services: Services, sent: Payload) -> dict[str, Any]:
    """Take data set and model lineage without keeping it, so that a client which logs it by itself is not stopped."""
    state.find_run(services, _run_id(sent))
    return {}


def get_history(services: Services, sent: Payload) -> dict[str, Any]:
    metric = str(sent.get("metric_key") or "")
    page, token = _page(state.history(services, _run_id(sent), metric), sent, _DEFAULT_HISTORY_PAGE)
    return {"metrics": [wire.metric_json(metric, point) for point in page], **token}


def get_experiment(services: Services, sent: Payload) -> dict[str, Any]:
    return {"experiment": wire.experiment_json(_experiment(services, str(sent.get("experiment_id"))))}


def get_experiment_by_name(services: Services, sent: Payload) -> dict[str, Any]:
    name = str(sent.get("experiment_name"))
    doc = services.store.get(state.EXPERIMENT_KIND, state.experiment_id(name))
    if doc is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Could not find experiment with name '{name}'.")
    return {"experiment": wire.experiment_json(doc)}


def create_experiment(services: Services, sent: Payload) -> dict[str, Any]:
    name = str(sent.get("name") or "")
    if not name:
        raise MlflowError("INVALID_PARAMETER_VALUE", "Missing value for required parameter 'name'.")
    if services.store.get(state.EXPERIMENT_KIND, state.experiment_id(name)) is not None:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Experiment '{name}' already exists.")
    return {"experiment_id": state.ensure_experiment(services.store, name, services.now())}


def search_experiments(services: Services, sent: Payload) -> dict[str, Any]:
    conditions = search.parse(sent.get("filter"))
    docs = [doc for _, doc in services.store.list(state.EXPERIMENT_KIND)]
    found = [doc for doc in docs if search.matches(conditions, wire.experiment_fields(doc))]
    page, token = _page(found, sent, _DEFAULT_SEARCH_PAGE)
    return {"experiments": [wire.experiment_json(doc) for doc in page], **token}


_CALLS: list[tuple[str, str, Call]] = [
    ("GET", "runs/get", get_run),
    ("POST", "runs/create", create_run),
    ("POST", "runs/update", update_run),
    ("POST", "runs/search", search_runs),
    ("POST", "runs/log-metric", log_metric),
    ("POST", "runs/log-batch", log_batch),
    ("POST", "runs/log-parameter", log_parameter),
    ("POST", "runs/set-tag", set_tag),
    ("POST", "runs/delete-tag", delete_tag),
    ("POST", "runs/log-inputs", accept),
    ("POST", "runs/log-model", accept),
    ("GET", "metrics/get-history", get_history),
    ("GET", "experiments/get", get_experiment),
    ("GET", "experiments/get-by-name", get_experiment_by_name),
    ("POST", "experiments/create", create_experiment),
    ("POST", "experiments/search", search_experiments),
]


def _handler(services: Services, call: Call) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        sent = dict(request.query_params) if request.method == "GET" else await body(request)
        try:
            return json_response(await run_in_threadpool(call, services, sent))
        except MlflowError as refusal:
            return json_response({"error_code": refusal.code, "message": refusal.message}, refusal.status)

    return handle


def _run_id(sent: Payload) -> str:
    run_id = sent.get("run_id") or sent.get("run_uuid")
    if not run_id:
        raise MlflowError("INVALID_PARAMETER_VALUE", "Missing value for required parameter 'run_id'.")
    return str(run_id)


def _default_id(key: str) -> str:
    """MLflow's clients call the default experiment "0"; Azure's is called Default and has a GUID."""
    return state.experiment_id(state.DEFAULT_EXPERIMENT) if key == "0" else key


def _experiment(services: Services, key: str) -> dict[str, Any]:
    if key == "0":
        state.ensure_experiment(services.store, state.DEFAULT_EXPERIMENT, services.now())
    doc = services.store.get(state.EXPERIMENT_KIND, _default_id(key))
    if doc is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={key} exists")
    return doc


def _page(items: list[Any], sent: Payload, default: int) -> tuple[list[Any], dict[str, str]]:
    """Cut one page out of the answer; the token is the position of the next."""
    try:
        start, size = int(sent.get("page_token") or 0), int(sent.get("max_results") or default)
    except ValueError as fault:
        raise MlflowError("INVALID_PARAMETER_VALUE", "page_token and max_results must be numbers.") from fault
    end = start + min(max(size, 1), _MAX_PAGE)
    return items[start:end], {"next_page_token": str(end)} if end < len(items) else {}


def _now(services: Services) -> int:
    return state.milliseconds(services.now())
