"""Jobs and servers as the emulator starts them: child processes of the machine-learning environment's own Python."""

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
STEPS = [
    "ft_nlp_common_validation",
    "chat_completion_model_import",
    "chat_completion_datapreprocess",
    "chat_completion_finetune",
    "ft_nlp_model_converter",
]


def ml_python() -> str:
    return os.environ.get("LOCAL_ML_PYTHON") or str(ROOT / ".venv-ml" / "bin" / "python")


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [ml_python(), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the tiny base model in it."""
    folder = tmp_path_factory.mktemp("cache")
    made = start("-m", "local.training.base_model", "--engine", "fast", "--cache", str(folder))
    output, _ = made.communicate(timeout=300)
    assert made.returncode == 0, output
    return folder


@dataclass
class Job:
    directory: Path
    output: str = ""
    exit_code: int | None = None
    process: subprocess.Popen[str] | None = None

    def start(self) -> "Job":
        self.process = start("-m", "local.training", str(self.directory))
        return self

    def wait(self) -> "Job":
        assert self.process is not None
        self.output, _ = self.process.communicate(timeout=300)
        self.exit_code = self.process.returncode
        return self

    @property
    def status(self) -> list[dict[str, Any]]:
        file = self.directory / "status.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []

    @property
    def failure(self) -> dict[str, Any]:
        return next(line for line in self.status if line["status"] == "Failed")

    @property
    def model(self) -> Path:
        return self.directory / "outputs" / "mlflow_model_folder"

    def log(self, step: str) -> str:
        return (self.directory / "logs" / f"{step}.txt").read_text()


MakeJob = Callable[..., Job]


def write_job(directory: Path, cache: Path, *, inputs: dict[str, str | None], **changes: Any) -> Job:
    """Write job.json and a small training set as the emulator would. An input of None is left out."""
    data = directory / "inputs"
    data.mkdir(parents=True)
    for name, count in (("train", 40), ("validation", 8)):
        rows = [conversation(f"Question {n % 10}?", f"The answer to {n % 10} is seven.") for n in range(count)]
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given: dict[str, str | None] = {
        "task_name": "ChatCompletion",
        "train_file_path": str(data / "train.jsonl"),
        "validation_file_path": str(data / "validation.jsonl"),
        "apply_lora": "true",
        "learning_rate": "0.01",
        "per_device_train_batch_size": "4",
        "max_steps": "20",
        "evaluation_strategy": "steps",
        "eval_steps": "10",
        "logging_steps": "5",
        **inputs,
    }
    document = {
        "name": "job-1",
        "engine": "fast",
        "base_model_dir": str(cache / "models" / "tiny-random"),
        "requested_model": "Phi-4",
        "inputs": {name: value for name, value in given.items() if value is not None},
        "outputs": {"mlflow_model_folder": str(directory / "outputs" / "mlflow_model_folder")},
        "steps": [{"name": step, "run_id": f"run-{step}"} for step in STEPS],
        "fail": None,
        "mlflow": None,
        **changes,
    }
    (directory / "job.json").write_text(json.dumps(document))
    return Job(directory)


def conversation(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


@pytest.fixture
def make_job(tmp_path: Path, cache: Path) -> Iterator[MakeJob]:
    jobs: list[Job] = []

    def make(inputs: dict[str, str | None] | None = None, **changes: Any) -> Job:
        jobs.append(write_job(tmp_path / f"job-{len(jobs)}", cache, inputs=inputs or {}, **changes))
        return jobs[-1]

    yield make
    for job in jobs:
        if job.process is not None and job.process.poll() is None:
            job.process.kill()
            job.process.communicate()


@dataclass
class Tracking:
    """Takes what an MLflow client sends, after refusing the first `refusals` calls."""

    url: str = ""
    refusals: int = 0
    tokens: set[str | None] = field(default_factory=set)
    batches: list[dict[str, Any]] = field(default_factory=list)

    def history(self, name: str) -> list[tuple[int, float]]:
        metrics = [m for batch in self.batches for m in batch.get("metrics", [])]
        return [(int(m.get("step", 0)), float(m["value"])) for m in metrics if m["key"] == name]

    def parameters(self) -> dict[str, str]:
        return {p["key"]: p["value"] for batch in self.batches for p in batch.get("params", [])}


@contextmanager
def tracking_server() -> Iterator[Tracking]:
    """A server that knows the one call a job makes: runs/log-batch."""
    seen = Tracking()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.tokens.add(self.headers["Authorization"])
            refused = seen.refusals > 0 or not self.path.endswith("/api/2.0/mlflow/runs/log-batch")
            seen.refusals -= 1
            if not refused:
                seen.batches.append(body)
            self.send_response(400 if refused else 200)
            self.end_headers()
            self.wfile.write(b'{"error_code": "BAD_REQUEST", "message": "not now"}' if refused else b"{}")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}/mlflow/v2.0/subscriptions/s"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def tracking() -> Iterator[Tracking]:
    """What the job of `trained` sends, and nobody else."""
    with tracking_server() as seen:
        yield seen


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path, tracking: Tracking) -> Job:
    """One whole job, whose workspace refuses the first metrics."""
    tracking.refusals = 3
    mlflow = {"tracking_uri": tracking.url, "token": "secret-token", "ca_bundle": None, "experiment_id": "0"}
    job = write_job(tmp_path_factory.mktemp("trained") / "job", cache, inputs={"precision": "16"}, mlflow=mlflow)
    return job.start().wait()
