"""From a blob to a run: who is received, with which options, under which id."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from shared.errors import DatasetGoneError, InvalidRequestError, OptionsError
from shared.runs import names
from shared.runs.lifecycle import write_status
from shared.runs.options import OPTIONS_FILE, checked, merge, parse_finetune_yaml, parse_metadata
from shared.runs.record import DatasetVersion, Failure, Run, RunState, new_run
from shared.services import Services
from shared.storage import BlobInfo

# What lies beside datasets and is none.
_IGNORED_SUFFIXES = (".yaml", ".yml", ".md", ".txt", ".html")
MISSED_WITHIN, EVENT_TAKES = timedelta(days=1), timedelta(minutes=5)


def is_dataset(blob: str) -> bool:
    """Tell whether a blob's name can be a dataset's: not a configuration, a note or a hidden file.

    >>> is_dataset("bot/a.jsonl"), is_dataset("bot/finetune.yaml"), is_dataset("bot/.a.jsonl.tmp")
    (True, False, False)
    """
    *folders, file = blob.split("/")
    if any(folder in ("", ".", "..") for folder in folders) or "\\" in blob or not blob.isprintable():
        return False  # a path that a client could read as another blob's
    return bool(file) and not file.startswith((".", "_")) and not file.lower().endswith(_IGNORED_SUFFIXES)


def receive(
    services: Services, blob: BlobInfo, *, trigger: str, options: Mapping[str, Any] | None = None
) -> tuple[Run, bool]:
    """Record a run for one version of a dataset, once.

    Args: options: the topmost layer, from a request's body.
    Returns: the run, and whether it is new.
    Idempotency: the run's id, a function of blob, ETag and options; and the content, where its MD5 is known, so that
    the same file uploaded again while its run is under way or live is the same run.
    Raises: OptionsError: the options given with the call cannot be used.
    """
    asked = checked(options or {}, "options")
    dataset = DatasetVersion(
        container=blob.container,
        blob=blob.name,
        etag=blob.etag,
        modified_at=blob.modified_at,
        size=blob.size,
        md5=blob.md5,
    )
    refusal: OptionsError | None = None
    try:
        merged = merge([_beside(services, blob), parse_metadata(blob.metadata), asked])
    except OptionsError as fault:
        refusal, merged = fault, dict(asked)
    run_id = names.run_id_of(
        blob.container, blob.name, blob.etag, blob.modified_at, {"refused": str(refusal)} if refusal else merged
    )
    now = services.now()
    run = new_run(run_id, names.project_of(blob.name), dataset, merged, now=now, trigger=trigger)
    if refusal:
        run.failure = Failure(state=RunState.RECEIVED, reason="options", message=str(refusal), retry_helps=False)
        run.move(RunState.REJECTED, now=now, trigger=trigger, reason=str(refusal))
    version_key = names.version_key(blob.container, blob.name, blob.etag)
    content_key = names.content_key(blob.container, blob.name, blob.md5, blob.size, merged) if blob.md5 else None
    recorded = services.store.create(run, version_key, None if refusal else content_key)
    if recorded is not run:
        return recorded, False
    write_status(services, run)
    services.notifier.run_state_changed(run)
    return run, True


def receive_by_name(services: Services, path: str, *, options: Mapping[str, Any]) -> tuple[Run, bool]:
    """Record a run for a dataset that a person names, with or without its container.

    Raises: InvalidRequestError: not a dataset's name; DatasetGoneError: there is no such blob; OptionsError.
    """
    blob = path.strip("/").removeprefix(f"{names.DATASETS}/")
    if not is_dataset(blob):
        raise InvalidRequestError(f"dataset: {path!r} is not a dataset's name, such as support-bot/2026-11.jsonl")
    info = services.blobs.describe(names.DATASETS, blob)
    if info is None:
        raise DatasetGoneError(f"There is no blob {names.DATASETS}/{blob}. Upload the dataset first.")
    return receive(services, info, trigger="http", options=options)


def receive_missed(services: Services) -> list[Run]:
    """Record runs for datasets whose upload nobody told of: an event can be lost, or arrive while storage is away.

    Looks at what was written within the last day, and leaves the newest alone: its event may be on its way.
    Idempotency: a version of a blob that has a run, with whatever options, is known by its key.
    """
    now = services.now()
    received = []
    for name in services.blobs.list(names.DATASETS, now - MISSED_WITHIN):
        blob = services.blobs.describe(names.DATASETS, name)
        if blob is None or blob.is_folder or not is_dataset(name) or now - blob.modified_at < EVENT_TAKES:
            continue
        if not services.store.knows(names.version_key(blob.container, blob.name, blob.etag)):
            run, is_new = receive(services, blob, trigger="timer")
            received += [run] if is_new else []
    return received


def _beside(services: Services, blob: BlobInfo) -> dict[str, Any]:
    """Read the `finetune.yaml` in the dataset's folder."""
    name = posixpath.join(posixpath.dirname(blob.name), OPTIONS_FILE)
    data = services.blobs.read_small(blob.container, name)
    return parse_finetune_yaml(data, f"{blob.container}/{name}") if data else {}
