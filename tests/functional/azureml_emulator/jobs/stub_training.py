"""A stand-in for `python -m local.training JOB_DIR`: same files, same exit codes, no training.

It obeys the first row of the job's train file, when that is {"stub": {...}}:
    seconds     how long chat_completion_finetune takes
    once        only the first start takes so long; what is started again, does not
    until       the file that has to be there before chat_completion_finetune ends
    crash       the step at which the process ends without a word, with exit code 3
    metrics     log metrics and parameters to the tracking server with plain requests
"""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def main() -> int:
    assert sys.argv[1:3] == ["-m", "local.training"], sys.argv
    folder = Path(sys.argv[3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    job = json.loads((folder / "job.json").read_text())
    with (folder / "starts.txt").open("a") as starts:
        starts.write("start\n")
    first = json.loads(Path(job["inputs"]["train_file_path"]).read_text().split("\n")[0])
    for step in job["steps"]:
        report(folder, step["name"], "Running")
        if not run_step(folder, job, step, first.get("stub", {})):
            return 1
        report(folder, step["name"], "Completed")
    with (folder / "starts.txt").open("a") as starts:
        starts.write("end\n")
    return 0


def run_step(folder: Path, job: dict[str, Any], step: dict[str, str], wish: dict[str, Any]) -> bool:
    name, fail = step["name"], job["fail"]
    print(f"stub runs {name}", flush=True)
    (folder / "logs" / f"{name}.txt").write_text(f"stub log of {name}\n")
    if fail and fail["step"] == name:
        report(folder, name, "Failed", {"code": fail["code"], "message": fail["message"]})
        return False
    if wish.get("crash") == name:
        print("MemoryError: no memory left", flush=True)
        sys.exit(3)
    if name == "chat_completion_finetune":
        if wish.get("metrics"):
            log_metrics(job, step["run_id"])
        is_again = (folder / "starts.txt").read_text().count("start") > 1
        time.sleep(0 if wish.get("once") and is_again else wish.get("seconds", 0))
        while "until" in wish and not Path(wish["until"]).exists():
            time.sleep(0.05)
    if name == "ft_nlp_model_converter":
        output = Path(job["outputs"]["mlflow_model_folder"])
        output.mkdir(exist_ok=True)
        (output / "MLmodel").write_text("flavors: {}\n")
    return True


def log_metrics(job: dict[str, Any], run_id: str) -> None:
    import requests

    server = job["mlflow"]
    metrics = [{"key": "loss", "value": 3.0 - step, "timestamp": step, "step": step} for step in range(3)]
    body = {"run_id": run_id, "metrics": metrics, "params": [{"key": "learning_rate", "value": "0.001"}]}
    requests.post(
        f"{server['tracking_uri']}/api/2.0/mlflow/runs/log-batch",
        json=body,
        headers={"Authorization": f"Bearer {server['token']}"},
        verify=server["ca_bundle"],
        timeout=10,
    ).raise_for_status()


def report(folder: Path, step: str, status: str, error: dict[str, str] | None = None) -> None:
    line = {"time": datetime.now(UTC).isoformat(), "step": step, "status": status, "error": error}
    with (folder / "status.jsonl").open("a") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
