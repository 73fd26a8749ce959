"""A stand-in for the Python that trains, evaluates and serves: the emulator tests' own stubs, made obedient to
STATE/stub.json.

seconds     how long the training takes, before its first step
in_step     the first step has begun before these seconds: it holds a machine meanwhile
endless     jobs that take ten minutes, now and whenever they start again
files       files of the trained model, such as {"answer.txt": "..."}: see stub_serving.py
evaluation  what it finds: {"candidate": {"loss": 1.5, "rows": 9, ...}, "base": ..., "live": ...}, the numbers of
            shared.evaluation.results.Score; {"error": "..."}: it failed; null: it writes nothing

What lies in STATE/holding when a training begins holds it up as long as it lies there: see Cloud.holding.
"""

import json
import math
import os
import runpy
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

STUBS = Path(__file__).resolve().parents[1] / "azureml_emulator"
NUMBERS = {"candidate": 1.5, "base": 3.0, "live": 2.0}  # losses, unless something else is wished for
ANSWER = {"answer.txt": "The mayor is Tobias Crane."}


def main() -> int:
    if sys.argv[2] == "local.serving":
        runpy.run_path(str(STUBS / "core" / "stub_serving.py"), run_name="__main__")
        return 0
    if sys.argv[2] == "zipfile":
        sys.argv = ["zipfile", *sys.argv[3:]]
        runpy.run_module("zipfile", run_name="__main__")
        return 0
    if sys.argv[2] == "shared.evaluation.step":
        return evaluate(sys.argv[3:])
    return train(Path(sys.argv[3]))


def train(folder: Path) -> int:
    state = folder.parents[2]
    wait_for_the_end_of(list((state / "holding").glob("*")))
    wish = read(state / "stub.json")
    sys.path.insert(0, str(STUBS / "jobs"))
    import stub_training

    if wish.get("in_step"):
        stub_training.report(folder, read(folder / "job.json")["steps"][0]["name"], "Running")
    time.sleep(600 if is_endless(folder, wish) else wish.get("seconds", 0))
    code = int(stub_training.main())
    if code == 0:
        job = read(folder / "job.json")
        for name, text in wish.get("files", ANSWER).items():
            (Path(job["outputs"]["mlflow_model_folder"]) / name).write_text(text)
        log_metrics(job)
    return code


def wait_for_the_end_of(marks: list[Path]) -> None:
    while any(mark.exists() for mark in marks):
        time.sleep(0.01)


def evaluate(arguments: list[str]) -> int:
    """Write what the real step would, with the package that came with the job, and log it."""
    sys.path.insert(0, str(Path.cwd()))
    from shared.evaluation.arguments import parse
    from shared.evaluation.results import Results, Score
    from shared.evaluation.rows import read_test_set

    asked = parse(arguments)
    wish = read(Path.cwd().parents[5] / "stub.json").get("evaluation", {})
    if wish is None:
        raise SystemExit(wish_for_no_results(asked.out))
    test = read_test_set(asked.test)
    results = Results(asked.job, asked.live_run, test.sha256, test.rows_test, "cpu", error=wish.get("error"))
    for name in ("candidate", "base", *(["live"] if asked.live else [])):
        if "error" not in wish:
            assert {"candidate": asked.candidate, "base": asked.base, "live": asked.live}[name] is not None
            results.models[name] = score = Score(tokenization="same", similarity=0.5, probe_accuracy=0.9)
            numbers = {"loss": NUMBERS[name], "rows": len(test.rows), **wish.get(name, {})}
            for key, value in numbers.items():
                setattr(score, key, value)
            if score.loss is not None:
                score.perplexity, score.loss_per_character = math.exp(score.loss), score.loss / 4
    results.write(asked.out)
    server = {"tracking_uri": os.environ["MLFLOW_TRACKING_URI"], "token": os.environ["MLFLOW_TRACKING_TOKEN"]}
    server["ca_bundle"] = os.environ["REQUESTS_CA_BUNDLE"]
    send_metrics(server, os.environ["MLFLOW_RUN_ID"], {name: [value] for name, value in results.metrics().items()})
    return 0


def wish_for_no_results(out: Path) -> int:
    """Leave a file that is not evaluation.json's: the emulator wants an output, as Azure's mount does not."""
    out.write_text("nothing")
    return 0


def is_endless(folder: Path, wish: dict[str, Any]) -> bool:
    mark = folder / "endless.txt"
    if folder.name in wish.get("endless", []):
        mark.touch()
    return mark.exists()


def log_metrics(job: dict[str, Any]) -> None:
    """Log a falling loss to the step that trains, as the real component does."""
    (step,) = [step["run_id"] for step in job["steps"] if step["name"] == "chat_completion_finetune"]
    send_metrics(job["mlflow"], step, {"train_loss": [3.0, 2.0, 1.5], "eval_loss": [3.5, 1.75, 2.0]})


def send_metrics(server: dict[str, str], step: str, values: dict[str, list[float]]) -> None:
    metrics = [
        {"key": name, "value": value, "timestamp": i, "step": i}
        for name, points in values.items()
        for i, value in enumerate(points)
    ]
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
