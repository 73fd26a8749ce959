"""A stand-in for the Python that trains and serves: the emulator tests' own stubs, made obedient to STATE/stub.json.

seconds     how long the training takes, before its first step
files       files of the trained model, such as {"answer.txt": "..."}: see stub_serving.py
"""

import json
import runpy
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

STUBS = Path(__file__).resolve().parents[1] / "azureml_emulator"
ANSWER = {"answer.txt": "The mayor is Tobias Crane."}


def main() -> int:
    if sys.argv[2] == "local.serving":
        runpy.run_path(str(STUBS / "core" / "stub_serving.py"), run_name="__main__")
        return 0
    return train(Path(sys.argv[3]))


def train(folder: Path) -> int:
    wish = read(folder.parents[2] / "stub.json")
    time.sleep(wish.get("seconds", 0))
    sys.path.insert(0, str(STUBS / "jobs"))
    import stub_training

    code = int(stub_training.main())
    if code == 0:
        job = read(folder / "job.json")
        for name, text in wish.get("files", ANSWER).items():
            (Path(job["outputs"]["mlflow_model_folder"]) / name).write_text(text)
        log_metrics(job)
    return code


def log_metrics(job: dict[str, Any]) -> None:
    """Log a falling loss to the step that trains, as the real component does."""
    (step,) = [step["run_id"] for step in job["steps"] if step["name"] == "chat_completion_finetune"]
    values = {"train_loss": [3.0, 2.0, 1.5], "eval_loss": [3.5, 2.5, 2.0]}
    metrics = [
        {"key": name, "value": value, "timestamp": i, "step": i}
        for name, points in values.items()
        for i, value in enumerate(points)
    ]
    server = job["mlflow"]
    request = urllib.request.Request(
        f"{server['tracking_uri']}/api/2.0/mlflow/runs/log-batch",
        json.dumps({"run_id": step, "metrics": metrics}).encode(),
        {"Authorization": f"Bearer {server['token']}", "Content-Type": "application/json"},
    )
    trusted = ssl.create_default_context(cafile=server["ca_bundle"])
    with urllib.request.urlopen(request, timeout=10, context=trusted):
        pass


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
