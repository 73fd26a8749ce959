"""Pipelines with a command node in front of the training, put by the real SDK."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from azure.ai.ml import Input, MLClient, Output, command
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import Environment, JobResourceConfiguration
from azure.storage.blob import BlobServiceClient

from local import names

PLACE = f"azureml://datastores/{names.PREPARED_DATASTORE}/paths"
NODE = "make_rows"
CURATED = "azureml://registries/azureml/environments/acft-hf-nlp-gpu/labels/latest"
COPY = "cat '${{inputs.rows}}' > '${{outputs.train}}' && echo done > '${{outputs.notes}}/a note.txt'"


@dataclass
class Commands:
    """Submits pipelines whose first node is a command, and reads what came of them."""

    client: MLClient
    registry: MLClient
    storage: BlobServiceClient

    def submit(self, line: str, *, mode: str = "upload", size: str = "Standard_E4ds_v4", **more: Any) -> str:
        folder = f"{PLACE}/{uuid.uuid4().hex}"
        rows = f"{folder.rpartition('/')[2]}/rows.jsonl"
        self.storage.get_blob_client("prepared", rows).upload_blob(json.dumps({"stub": more}) + "\n")
        environment = Environment(image="mcr.microsoft.com/x:1", conda_file={"dependencies": ["python=3.11"]})
        step = command(
            name="rows",
            command=line,
            inputs={"rows": Input(type="uri_file")},
            outputs={"train": Output(type="uri_file"), "notes": Output(type="uri_folder")},
            environment=environment,
        )
        component = self.registry.components.get("chat_completion_pipeline", label="latest")
        model = self.registry.models.get("Phi-4", label="latest")

        @pipeline(name="two-nodes")
        def create() -> dict[str, Any]:
            make_rows = step(rows=Input(type="uri_file", path=f"{folder}/rows.jsonl"))
            make_rows.compute = "serverless"
            make_rows.resources = JobResourceConfiguration(instance_type=size, instance_count=1)
            make_rows.outputs.train = Output(type="uri_file", path=f"{folder}/train.jsonl", mode=mode)
            make_rows.outputs.notes = Output(type="uri_folder", path=f"{folder}/", mode="rw_mount")
            node = component(
                mlflow_model_path=Input(type="mlflow_model", path=model.id),
                train_file_path=make_rows.outputs.train,
                task_name="ChatCompletion",
            )
            return {"trained_model": node.outputs.mlflow_model_folder}

        job = create()
        job.name = f"job-{uuid.uuid4().hex[:12]}"
        return str(self.client.jobs.create_or_update(job, experiment_name="bot").name)

    def submit_with_a_look_at_the_model(self, line: str, *, live: str | None = None, **more: Any) -> str:
        """Submit a pipeline whose last node is a command that reads the trained model, and writes one file."""
        folder = f"{PLACE}/{uuid.uuid4().hex}"
        rows = f"{folder.rpartition('/')[2]}/rows.jsonl"
        self.storage.get_blob_client("prepared", rows).upload_blob(json.dumps({"stub": more}) + "\n")
        step = command(
            name="look",
            command=line,
            inputs={
                "rows": Input(type="uri_file"),
                "base": Input(type="mlflow_model"),
                "candidate": Input(type="mlflow_model"),
                "live": Input(type="mlflow_model", optional=True),
            },
            outputs={"seen": Output(type="uri_file")},
            environment=CURATED,
        )
        component = self.registry.components.get("chat_completion_pipeline", label="latest")
        model = self.registry.models.get("Phi-4", label="latest")

        @pipeline(name="look-behind")
        def create() -> dict[str, Any]:
            node = component(
                mlflow_model_path=Input(type="mlflow_model", path=model.id),
                train_file_path=Input(type="uri_file", path=f"{folder}/rows.jsonl"),
                task_name="ChatCompletion",
            )
            given = {"live": Input(type="mlflow_model", path=live)} if live else {}
            look = step(
                rows=Input(type="uri_file", path=f"{folder}/rows.jsonl"),
                base=Input(type="mlflow_model", path=model.id),
                candidate=node.outputs.mlflow_model_folder,
                **given,
            )
            look.compute = "serverless"
            look.resources = JobResourceConfiguration(instance_type="Standard_E4ds_v4", instance_count=1)
            look.outputs.seen = Output(type="uri_file", path=f"{folder}/seen.txt", mode="rw_mount")
            return {"trained_model": node.outputs.mlflow_model_folder}

        job = create()
        job.name = f"job-{uuid.uuid4().hex[:12]}"
        return str(self.client.jobs.create_or_update(job, experiment_name="bot").name)

    def seen(self, name: str) -> str:
        """Return the file that the last node wrote."""
        path = self.client.jobs.get(name).jobs["look"].outputs["seen"].path.rpartition("/paths/")[2]
        return self.storage.get_blob_client("prepared", path).download_blob().readall().decode()

    def results(self, name: str) -> set[str]:
        outputs = self.client.jobs.get(name).jobs[NODE].outputs
        prefix = outputs["train"].path.rpartition("/paths/")[2].rpartition("/")[0]
        blobs = self.storage.get_container_client("prepared").list_blobs(name_starts_with=f"{prefix}/")
        return {blob.name.rpartition("/")[2] for blob in blobs}

    def steps(self, name: str) -> dict[str, str]:
        return {child.display_name: child.status for child in self.client.jobs.list(parent_job_name=name)}

    def failure(self, name: str) -> str:
        details = self.client.jobs._runs_operations.get_run_details(name)
        return str(details.error.error.message)
