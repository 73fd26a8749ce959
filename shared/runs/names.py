"""Every name is a function of the run, so that doing a thing twice finds what the first time made."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

import msgspec

DATASETS, PREPARED, RUNS = "datasets", "prepared", "runs"
# What lies beside datasets and is none: notes and options, and what Hugging Face's libraries save with data and models.
_IGNORED_SUFFIXES = (".yaml", ".yml", ".md", ".txt", ".html", ".schema.json")
_IGNORED_FILES = frozenset(
    {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "dataset_info.json",
        "dataset_infos.json",
        "dataset_dict.json",
    }
)
_RUN_ID = re.compile(r"^(?P<slug>[a-z0-9][a-z0-9-]*)-(?P<at>\d{14})-(?P<digest>[0-9a-f]{8})\Z")
_JOB_NAME = re.compile(r"^(?P<run_id>.+-\d{14}-[0-9a-f]{8})(-r\d+)?\Z")
_ENDPOINT_NAME_LENGTH = 32
# Azure: 3-32 characters, letters, digits, hyphens, first a letter
_ENDPOINT_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]\Z")


def is_dataset(blob: str) -> bool:
    """Tell whether a blob's name can be a dataset's: not a configuration, a note or a hidden file.

    What a file is in truth is found out when it is read: one that is no dataset is rejected, with a report.

    >>> is_dataset("bot/a.jsonl"), is_dataset("bot/finetune.yaml"), is_dataset("bot/.a.jsonl.tmp")
    (True, False, False)
    """
    *folders, file = blob.split("/")
    if any(folder in ("", ".", "..") for folder in folders) or "\\" in blob or not blob.isprintable():
        return False  # a path that a client could read as another blob's
    name = file.lower()
    return bool(file) and not (
        name.startswith((".", "_")) or name.endswith(_IGNORED_SUFFIXES) or name in _IGNORED_FILES
    )


def project_of(blob: str) -> str:
    """Return a dataset's project: its first folder, or the file's stem when it lies at the top.

    >>> project_of("support-bot/2026-11.jsonl"), project_of("faq.jsonl.gz")
    ('support-bot', 'faq')
    """
    first, _, rest = blob.strip("/").partition("/")
    return first if rest else first.split(".", 1)[0] or first


def slug(text: str, length: int = 40) -> str:
    """Reduce a text to lower-case letters, digits and single hyphens, as Azure's names demand."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-") or "run"


def run_id_of(container: str, blob: str, etag: str, modified_at: datetime, options: object) -> str:
    """Return the run's id: the same for the same blob version and the same options, however often it is announced."""
    encoded = msgspec.json.encode(options, order="deterministic")
    digest = hashlib.sha256(
        b"\0".join([container.encode(), blob.encode(), etag.strip('"').encode(), encoded])
    ).hexdigest()
    return f"{slug(project_of(blob))}-{modified_at:%Y%m%d%H%M%S}-{digest[:8]}"


def version_key(container: str, blob: str, etag: str) -> str:
    """Return the key of one version of a blob, whatever the options of its run."""
    return hashlib.sha256(msgspec.json.encode([container, blob, etag.strip('"')])).hexdigest()[:32]


def content_key(container: str, blob: str, md5: str, size: int, options: object) -> str:
    """Return the key of what a run is about, whatever the upload: the same file uploaded again has the same key."""
    encoded = msgspec.json.encode([container, blob, md5, size, options], order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:32]


def is_run_id(text: str) -> bool:
    """Tell whether a text has the form of a run's id; says nothing about whether the run exists."""
    return _RUN_ID.match(text) is not None


def run_id_of_job(job_name: str) -> str | None:
    """Return the run a job may belong to, None for a stranger's or a child's job."""
    match = _JOB_NAME.match(job_name)
    return match["run_id"] if match and is_run_id(match["run_id"]) else None


def job_name(run_id: str, retry: int) -> str:
    """Return the job's name: the run's id; a repeated training needs a name of its own, as a job's name is used up."""
    return run_id if retry == 0 else f"{run_id}-r{retry}"


def model_name(foundation_model: str, project: str) -> str:
    """Return the registered model's name: letters, digits, dots, hyphens."""
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '-', foundation_model)}-{slug(project)}"


def model_version(modified_at: datetime) -> str:
    """Return the model's version: Unix seconds of the dataset, so that registering again repeats it."""
    return str(int(modified_at.timestamp()))


def other_model_version(run_id: str, modified_at: datetime) -> str:
    """Return the version for a run whose first choice another run has: two datasets changed in the same second, or one
    dataset was trained on with different options. Digits only, as Azure wants, and the same at every attempt."""
    digest = int(run_id.rsplit("-", 1)[-1], 16)
    return f"{model_version(modified_at)}{digest % 1_000_000:06d}"


def endpoint_name(run_id: str, project: str) -> str:
    """Return the name of a run's own endpoint: the project, cut, and the run's digest."""
    return _endpoint_name(project, run_id.rsplit("-", 1)[-1])


def project_endpoint_name(workspace_id: str, project: str) -> str:
    """Return the name of the endpoint that all runs of a project share: the project, cut, and a digest of where it is.

    Projects of one name in two workspaces have names of their own, because a name is taken for a whole region.
    """
    digest = hashlib.sha256(msgspec.json.encode([workspace_id.lower(), project])).hexdigest()
    return _endpoint_name(project, digest[:8])


def is_endpoint_name(text: str) -> bool:
    """Tell whether Azure takes a text as the name of an endpoint.

    >>> is_endpoint_name("support-bot"), is_endpoint_name("4-bots"), is_endpoint_name("x")
    (True, False, False)
    """
    return _ENDPOINT_NAME.match(text) is not None


def _endpoint_name(project: str, digest: str) -> str:
    head = slug(project, _ENDPOINT_NAME_LENGTH - len(digest) - 1)
    if not head[0].isalpha():
        head = f"m{head}"[: _ENDPOINT_NAME_LENGTH - len(digest) - 1].rstrip("-")
    return f"{head}-{digest}"
