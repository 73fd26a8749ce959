"""The step that prepares a dataset inside the job: this app's own package as an Azure ML command component.

The package comes as an input, a ZIP archive beside the prepared data, and not as a code asset: a code asset would be
uploaded by the SDK into the workspace's own storage account, to which the app's identity may have no access.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from shared.azureml.compute import SERVERLESS

NODE = "prepare_dataset"
ENVIRONMENT = "finetune-dataset-preparation"
PACKAGES = ("backports.zstd", "cramjam", "isal", "msgspec", "xxhash")
"""What the dataset package imports. The step gets the versions that this app itself runs with."""

OPTIONAL = ("tokenizers",)
"""What it imports where it is asked for; the step has it if this app has it."""

IMAGE = "mcr.microsoft.com/azureml/openmpi5.0-ubuntu24.04:20260901.v1"
_COMMAND = (
    "python -m zipfile -e '${{inputs.package}}' . && python -m shared.dataset.step '${{inputs.task}}'"
    " --source '${{inputs.source}}' --train '${{outputs.train}}' --test '${{outputs.test}}'"
    " --findings '${{outputs.findings}}'"
)


@dataclass(frozen=True)
class PreparationStep:
    """What the step reads, where it runs, and the folder of the results; all paths within one datastore."""

    package: str
    task: str
    source: str
    results: str
    compute: str
    instance_type: str


def component() -> Any:
    """Build the SDK's command component. The names of its inputs hold no user's text: the command goes to a shell."""
    from azure.ai.ml import Input, Output, command

    return command(
        name=NODE,
        description="Checks a chat dataset row by row and splits it into training and test rows",
        inputs={
            "package": Input(type="uri_file"),
            "task": Input(type="uri_file"),
            "source": Input(type="uri_folder"),
        },
        outputs={
            "train": Output(type="uri_file"),
            "test": Output(type="uri_file"),
            "findings": Output(type="uri_folder"),
        },
        command=_COMMAND,
        environment=environment(),
        # The results are wanted where they are expected, not a cached step's somewhere else.
        is_deterministic=False,
    )


def bind(node: Any, step: PreparationStep, *, datastore: str) -> None:
    """Say where a node of the component runs and where its results go.

    All outputs are mounted, because what is uploaded at the end is not uploaded after a failure, and a rejected dataset
    ends with one. Source: the SDK's `OutputFileDatasetConfig.as_upload`.
    """
    from azure.ai.ml import Output
    from azure.ai.ml.entities import JobResourceConfiguration

    node.compute = step.compute
    if step.compute == SERVERLESS:
        node.resources = JobResourceConfiguration(instance_type=step.instance_type, instance_count=1)
    for name, kind, path in (
        ("train", "uri_file", "train.jsonl"),
        ("test", "uri_file", "test.jsonl"),
        ("findings", "uri_folder", ""),
    ):
        target = f"azureml://datastores/{datastore}/paths/{step.results}/{path}"
        setattr(node.outputs, name, Output(type=kind, path=target, mode="rw_mount"))


def inputs(step: PreparationStep, *, datastore: str) -> Mapping[str, Any]:
    """Return the node's inputs. The small ones are downloaded, the dataset is streamed."""
    from azure.ai.ml import Input

    def given(kind: str, path: str, mode: str) -> Any:
        return Input(type=kind, path=f"azureml://datastores/{datastore}/paths/{path}", mode=mode)

    return {
        "package": given("uri_file", step.package, "download"),
        "task": given("uri_file", step.task, "download"),
        "source": given("uri_folder", step.source, "ro_mount"),
    }


def environment() -> Any:
    """Build the SDK's environment. Its version is a function of its content, so it is registered and built once."""
    from azure.ai.ml.entities import Environment

    conda = conda_environment()
    digest = hashlib.sha256(msgspec.json.encode([IMAGE, conda])).hexdigest()
    return Environment(name=ENVIRONMENT, version=digest[:16], image=IMAGE, conda_file=conda)


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def conda_environment() -> dict[str, Any]:
    """Return the conda environment of the step: the Python and the packages of this process."""
    python = f"python={sys.version_info.major}.{sys.version_info.minor}"
    pins = [f"{package}=={version(package)}" for package in (*PACKAGES, *filter(_is_installed, OPTIONAL))]
    return {"channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": pins}]}
