"""Step ft_nlp_model_converter: the fine-tuned model as an MLflow model, laid out as Azure's chat models are."""

import json
import platform
import shutil
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import yaml

from local.training.job import Job
from local.training.progress import log

# What a deployment of this model needs (Azure builds its image from conda.yaml).
_PACKAGES = ("torch", "transformers", "peft", "azureml-inference-server-http")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_SAMPLE = {
    "input_data": {"input_string": [{"role": "user", "content": "What can you help me with?"}], "parameters": {}}
}


def convert(job: Job, trained_model: str) -> None:
    """Move the checkpoint into `mlflow_model_folder`: data/model, data/config, data/tokenizer, and what describes them.

    Source: assets/models/system/phi-3-mini-4k-instruct/MLmodel of Azure/azureml-assets.
    """
    target = job.mlflow_model_folder
    scratch = target.with_name(f".{target.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    data = scratch / "data"
    data.mkdir(parents=True)
    shutil.move(job.checkpoint, data / "model")
    _split(data)
    requirements = [f"{name}=={version(name).partition('+')[0]}" for name in _PACKAGES]
    (scratch / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    _write_yaml(scratch / "conda.yaml", _conda(requirements))
    _write_yaml(scratch / "MLmodel", _description(job, trained_model))
    (scratch / "input_example.json").write_text(json.dumps(_SAMPLE), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch.rename(target)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    log.info("MLflow model of %.0f MB in %s", size / 1e6, target.name)


def _split(data: Path) -> None:
    """Put configuration and tokenizer into folders of their own; both stay small, so `model` keeps a whole model."""
    for name in ("config", "tokenizer"):
        (data / name).mkdir()
    for file in _TOKENIZER_FILES:
        if (data / "model" / file).is_file():
            shutil.move(data / "model" / file, data / "tokenizer" / file)
    shutil.copy(data / "model" / "config.json", data / "config")


def _conda(requirements: list[str]) -> dict[str, object]:
    python = f"python={platform.python_version()}"
    return {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": requirements}]}


def _description(job: Job, trained_model: str) -> dict[str, object]:
    return {
        "flavors": {
            "hftransformersv2": {
                "code": None, "model_data": "data", "task_type": "chat-completion",
                "hf_config_class": "AutoConfig", "hf_pretrained_class": "AutoModelForCausalLM",
                "hf_tokenizer_class": "AutoTokenizer",
                "pytorch_version": version("torch"), "transformers_version": version("transformers"),
            },
            "python_function": {
                "data": "data", "env": "conda.yaml", "loader_module": "azureml.evaluate.mlflow.hftransformers",
                "python_version": platform.python_version(),
            },
        },
        "metadata": {
            "base_model_name": trained_model, "base_model_task": "chat-completion",
            "finetuning_task": "chat-completion", "is_finetuned_model": True, "requested_model": job.requested_model,
        },
        "mlflow_version": version("mlflow-skinny"),
        "model_uuid": uuid.uuid4().hex,
        "run_id": job.run_ids.get("ft_nlp_model_converter"),
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }  # fmt: skip


def _write_yaml(path: Path, document: dict[str, object]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=True), encoding="utf-8")
