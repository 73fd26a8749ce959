"""The job as the emulator wrote it down: JOB_DIR/job.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    directory: Path
    name: str
    engine: str
    base_model_dir: Path
    requested_model: str
    inputs: dict[str, str]
    mlflow_model_folder: Path
    run_ids: dict[str, str]  # step name -> id of the step's run
    fail: dict[str, str] | None
    mlflow: dict[str, Any] | None

    @property
    def work(self) -> Path:
        """Where steps leave what later steps need."""
        return self.directory / "work"

    @property
    def checkpoint(self) -> Path:
        """The fine-tuned model as Hugging Face files, before it becomes an MLflow model."""
        return self.work / "pytorch_model_folder"


def load_job(directory: Path) -> Job:
    document = json.loads((directory / "job.json").read_text(encoding="utf-8"))
    return Job(
        directory=directory,
        name=document["name"],
        engine=document["engine"],
        base_model_dir=Path(document["base_model_dir"]),
        requested_model=document.get("requested_model") or "",
        inputs={key: str(value) for key, value in document["inputs"].items() if value is not None},
        mlflow_model_folder=Path(document["outputs"]["mlflow_model_folder"]),
        run_ids={step["name"]: step["run_id"] for step in document["steps"]},
        fail=document.get("fail"),
        mlflow=document.get("mlflow"),
    )
