"""Run by the interpreter of the jobs (mlflow-skinny): logs to a run and reads it back, prints what it saw as JSON.

usage: mlflow_story.py STEP_RUN_ID JOB_NAME EXPERIMENT_NAME   (tracking URI and token from the environment)
"""

import json
import sys
import time
from typing import Any

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

PARENT = 'tags."mlflow.parentRunId"'


def main(step_run: str, job: str, experiment: str) -> dict[str, Any]:
    client = mlflow.MlflowClient()
    now = int(time.time() * 1000)
    found = client.get_experiment_by_name(experiment)
    client.log_metric(step_run, "eval_loss", 2.5, step=0)
    client.log_batch(
        step_run,
        metrics=[Metric("loss", 3.0 - step / 100, now + step, step) for step in range(250)],
        params=[Param("learning_rate", "0.001")],
        tags=[RunTag("stage", "training")],
    )
    client.log_metric(step_run, "eval_loss", 0.5, step=10)
    client.log_metric(step_run, "grad_norm", float("nan"), step=1)
    client.log_param(step_run, "lora_r", 16)
    client.set_tag(step_run, "note", "it's")
    client.delete_tag(step_run, "stage")
    run = client.get_run(step_run)
    return {
        "experiment_id": found.experiment_id,
        "run": run.to_dictionary(),
        "history": [point.value for point in client.get_metric_history(step_run, "loss")],
        "eval_loss": [(p.step, p.value) for p in client.get_metric_history(step_run, "eval_loss")],
        "by_root": sorted(run_names(client, found.experiment_id, f"tags.mlflow.rootRunId = '{job}'")),
        "by_parent": run_names(
            client, found.experiment_id, f'tags."mlflow.parentRunId" = "{job}" and metrics.eval_loss < 1'
        ),
        "refused_param": refusal(lambda: client.log_param(step_run, "lora_r", 8)),
        "refused_run": refusal(lambda: client.get_run("no-such-run")),
        "own_run": own_run(experiment),
        "pages": pages(client, found.experiment_id),
    }


def run_names(client: mlflow.MlflowClient, experiment_id: str, text: str) -> list[str]:
    return [run.info.run_name for run in client.search_runs([experiment_id], text)]


def own_run(experiment: str) -> dict[str, Any]:
    """The fluent way: a run of the client's own, with a child."""
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name="by hand") as parent:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"x": 1.0, "y": 2.0}, step=1)
        with mlflow.start_run(run_name="nested", nested=True) as child:
            mlflow.set_tag("k", "v")
    client = mlflow.MlflowClient()
    nested = client.get_run(child.info.run_id)
    return {
        "status": client.get_run(parent.info.run_id).info.status,
        "root_is_parent": nested.data.tags["mlflow.rootRunId"] == parent.info.run_id,
        "params": client.get_run(parent.info.run_id).data.params,
    }


def pages(client: mlflow.MlflowClient, experiment_id: str) -> list[int]:
    sizes, token = [], None
    while True:
        page = client.search_runs([experiment_id], max_results=3, page_token=token)
        sizes.append(len(page))
        token = page.token
        if not token:
            return sizes


def refusal(call: Any) -> str:
    try:
        call()
    except MlflowException as fault:
        return str(fault.error_code)
    return "accepted"


if __name__ == "__main__":
    print("RESULT " + json.dumps(main(*sys.argv[1:])))
