"""A job's training as if. Each look at it takes it one step further, so that it can be seen, canceled and preempted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.azureml.mlflow import state as mlflow
from local.azureml.services import Services

ANSWER = "answer.txt"
_TRAINS, _CONVERTS = "chat_completion_finetune", "ft_nlp_model_converter"
_LOSSES = {"train_loss": (3.0, 2.0, 1.5), "eval_loss": (3.5, 2.5, 2.0)}
Report = dict[str, Any]


class SimulatedTraining:
    """Stands where a `JobProcess` does. The job's folder is the same: job.json, inputs, outputs, starts.txt."""

    def __init__(self, services: Services, folder: Path) -> None:
        self._services, self._folder = services, folder
        self._job: dict[str, Any] = json.loads((folder / "job.json").read_text("utf-8"))
        self._reports = self._train()
        self._is_over = False
        self._last_words = ""
        self._note("start")

    def alive(self) -> bool:
        return not self._is_over

    @property
    def exit_code(self) -> int | None:
        return 0 if self._is_over else None

    def new_reports(self) -> Iterator[Report]:
        """Go on to where the next step runs, or to the end."""
        while not self._is_over:
            report = next(self._reports, None)
            if report is None:
                self._is_over = True
                return
            yield report
            if report["status"] == "Running":
                return

    def forget_reports(self) -> None:
        """What was reported is taken in at once; nothing waits."""

    def terminate(self) -> None:
        self._is_over = True

    def last_words(self) -> str:
        return self._last_words

    def _train(self) -> Iterator[Report]:
        fail = self._job["fail"]
        for step in self._job["steps"]:
            yield _report(step["name"], "Running")
            if fail and fail["step"] == step["name"]:
                self._last_words = fail["message"]
                yield _report(step["name"], "Failed", {"code": fail["code"], "message": fail["message"]})
                return
            if step["name"] == _TRAINS:
                self._log_losses(step["run_id"])
            if step["name"] == _CONVERTS:
                self._write_model()
                self._note("end")
            yield _report(step["name"], "Completed")

    def _log_losses(self, run_id: str) -> None:
        now = mlflow.milliseconds(self._services.now())
        points = [(name, value, now, i) for name, values in _LOSSES.items() for i, value in enumerate(values)]
        mlflow.log(self._services, run_id, points=points)

    def _write_model(self) -> None:
        """Keep the answer of the first row: what a person sees who asks is from the dataset of this very job."""
        with Path(self._job["inputs"]["train_file_path"]).open(encoding="utf-8") as rows:
            answer = json.loads(next(rows))["messages"][-1]["content"]
        model = Path(self._job["outputs"]["mlflow_model_folder"])
        model.mkdir(parents=True, exist_ok=True)
        (model / "MLmodel").write_text("flavors: {}\n")
        (model / ANSWER).write_text(answer, encoding="utf-8")

    def _note(self, what: str) -> None:
        with (self._folder / "starts.txt").open("a") as starts:
            starts.write(f"{what}\n")


def _report(step: str, status: str, error: dict[str, str] | None = None) -> Report:
    return {"time": datetime.now(UTC).isoformat(), "step": step, "status": status, "error": error}
