"""From a blob to a run: who is received, with which options, under which id."""

from __future__ import annotations

import logging
import posixpath
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared import telemetry
from shared.errors import DatasetGoneError, InvalidRequestError, OptionsError
from shared.runs import names
from shared.runs.announce import announce
from shared.runs.dataset_options import check_merged, speaks_of_layout
from shared.runs.names import is_dataset
from shared.runs.options import OPTIONS_FILE, checked, effective, merge, parse_finetune_yaml, parse_metadata
from shared.runs.pairs import Role, file_of, is_test_name, matches
from shared.runs.parts import Failure
from shared.runs.record import Run, is_in_line, new_run
from shared.runs.siblings import role_of, tell_begun, version_of, waiting_beside
from shared.runs.states import RunState
from shared.runs.status import write_status
from shared.runs.superseding import supersede
from shared.services import Services
from shared.storage import BlobInfo

MISSED_WITHIN, EVENT_TAKES = timedelta(days=1), timedelta(minutes=5)
RECEIVE_FOR = timedelta(seconds=15)
LOOKUPS = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Layers:
    """The options of a run, merged; or why they cannot be used, with those of the call alone."""

    merged: dict[str, Any]
    refusal: OptionsError | None


def receive_upload(services: Services, blob: BlobInfo, *, trigger: str) -> list[str]:
    """Take in what was uploaded: most datasets make a run, a test file beside its training file makes none.

    Returns: the ids of the runs to look at now: the dataset's own, and those of its folder that have not begun, because
    the upload may be what they wait for.
    Idempotency: that of `receive`; a version that makes no run is remembered, so that it is not missed later either.
    """
    waiting = waiting_beside(services, blob)
    recorded = _take_in(services, blob, waiting, trigger)
    ids = ([recorded[0].id] if recorded else []) + [other.id for other in waiting if not is_in_line(other)]
    return list(dict.fromkeys(ids))


def _take_in(services: Services, blob: BlobInfo, waiting: Sequence[Run], trigger: str) -> tuple[Run, bool] | None:
    """Return the upload's run, and whether it is new; None: it makes none."""
    path = f"{blob.container}/{blob.name}"
    if blob.is_folder or not is_dataset(blob.name):
        _log.info("%s is not a dataset", path)
        return None
    version_key = names.version_key(blob.container, blob.name, blob.etag)
    if services.store.run_of_version(version_key) == "":
        return None  # decided at the first delivery: what waited for it may have begun since
    layers = _layers(services, blob, {})
    announced = effective(layers.merged, services.settings).dataset
    role = role_of(services.blobs, blob.container, blob.name, announced)
    if role == Role.TOKENIZER:
        _log.info("%s is the tokenizer that finetune.yaml names", path)
    elif role == Role.TEST or _is_waited_for(blob, waiting):
        _log.info(
            "%s is the test file of a dataset beside it and makes no run; runs that begin from now on are tested with "
            'it. POST /api/runs {"dataset": "%s"} trains on it all the same',
            path,
            blob.name,
        )
        tell_begun(services, blob)
    else:
        return _record(services, blob, layers, trigger=trigger)
    services.store.remember(version_key)
    return None


def _is_waited_for(blob: BlobInfo, waiting: Sequence[Run]) -> bool:
    """Tell whether a run was asked for with this very file as its test file, which no finetune.yaml announces."""
    return any(
        matches(run.options.get("dataset", {}).get("test"), file_of(blob.name)) and run.dataset.blob != blob.name
        for run in waiting
    )


def receive(
    services: Services, blob: BlobInfo, *, trigger: str, options: Mapping[str, Any] | None = None
) -> tuple[Run, bool]:
    """Record a run for one version of a dataset, once.

    Args: options: the topmost layer, from a request's body.
    Returns: the run, and whether it is new.
    Idempotency: the run's id, a function of blob, ETag and options; and the content, where its MD5 is known, so that
    the same file uploaded again while its run is under way or live is the same run. A test file beside it is no part
    of this: a new one makes no second run.
    Raises: OptionsError: the options given with the call cannot be used.
    """
    return _record(services, blob, _layers(services, blob, checked(options or {}, "options")), trigger=trigger)


def _layers(services: Services, blob: BlobInfo, asked: dict[str, Any]) -> _Layers:
    """Merge the layers. Raises: OptionsError: what was asked with the call does not fit the layers below."""
    try:
        layers = [_beside(services, blob), ("blob metadata", parse_metadata(blob.metadata)), ("options", asked)]
    except OptionsError as fault:
        return _Layers(dict(asked), fault)
    merged = merge(layer for _, layer in layers)
    try:
        check_merged(merged, layers)
    except OptionsError as fault:
        if speaks_of_layout(asked):
            raise
        return _Layers(dict(asked), fault)
    return _Layers(merged, None)


def _record(
    services: Services, blob: BlobInfo, layers: _Layers, *, trigger: str, asked: bool = False
) -> tuple[Run, bool]:
    merged, refusal = layers.merged, layers.refusal
    run_id = names.run_id_of(
        blob.container, blob.name, blob.etag, blob.modified_at, {"refused": str(refusal)} if refusal else merged
    )
    now = services.now()
    run = new_run(run_id, names.project_of(blob.name), version_of(blob), merged, now=now, trigger=trigger)
    run.asked = asked
    if refusal:
        run.failure = Failure(state=RunState.RECEIVED, reason="options", message=str(refusal), retry_helps=False)
        run.move(RunState.REJECTED, now=now, trigger=trigger, reason=str(refusal))
    version_key = names.version_key(blob.container, blob.name, blob.etag)
    content_key = names.content_key(blob.container, blob.name, blob.md5, blob.size, merged) if blob.md5 else None
    recorded = services.store.create(run, version_key, None if refusal else content_key)
    supersede(services, recorded, run.dataset)
    if recorded is not run:
        if recorded.id == run.id and recorded.state == RunState.REJECTED:
            write_status(services, recorded)  # the first delivery may have died before it told
        return recorded, False
    telemetry.run_received(run)
    write_status(services, run)  # its event lies in its row, and is published when the run is looked at
    return run, True


def receive_by_name(services: Services, path: str, *, options: Mapping[str, Any]) -> tuple[Run, bool]:
    """Record a run for a dataset that a person names, with or without its container.

    The person is believed: what is named like a test file, or was taken for one, is trained on all the same.
    Raises: InvalidRequestError: not a dataset's name; DatasetGoneError: there is no such blob; OptionsError;
    RunBusyError: a worker is just looking at the run that waits because of its name.
    """
    blob = path.strip("/").removeprefix(f"{names.DATASETS}/")
    if not is_dataset(blob):
        raise InvalidRequestError(f"dataset: {path!r} is not a dataset's name, such as support-bot/2026-11.jsonl")
    info = services.blobs.describe(names.DATASETS, blob)
    if info is None:
        raise DatasetGoneError(f"There is no blob {names.DATASETS}/{blob}. Upload the dataset first.")
    layers = _layers(services, info, checked(options, "options"))
    run, is_new = _record(services, info, layers, trigger="http", asked=True)
    if is_test_name(file_of(blob)):
        for other in waiting_beside(services, info):
            if other.dataset.blob == blob and other.id != run.id and not other.asked:
                services.store.request_cancel(other.id)  # the same file with other options: one of them was meant
    if not run.asked and (run.set_aside or (run.state == RunState.RECEIVED and is_test_name(file_of(blob)))):
        run = _take_at_word(services, run.id)
    return run, is_new


def _take_at_word(services: Services, run_id: str) -> Run:
    """Let a run begin that waits because of its dataset's name, or was set aside for it: a person asked for it."""
    with services.store.claim(run_id) as claim:
        run = claim.run
        run.asked = True
        if run.set_aside and run.state == RunState.CANCELLED:
            run.set_aside = False
            run.move(RunState.RECEIVED, now=services.now(), trigger="http", reason="asked for by name")
            announce(services, claim)
        else:
            claim.save()
            write_status(services, run)
    return run


def receive_missed(services: Services) -> list[Run]:
    """Record runs for datasets whose upload nobody told of: an event can be lost, or arrive while storage is away.

    Looks at what was written within the last day, and leaves the newest alone: its event may be on its way. What was
    written first is received first; after RECEIVE_FOR the rest is left to the next call.
    Idempotency: a version of a blob that has a run, with whatever options, is known by its key.
    """
    now = services.now()
    received = []
    for listed in sorted(_unknown(services, now), key=lambda blob: blob.modified_at):
        if services.now() - now > RECEIVE_FOR:
            break
        blob = services.blobs.describe(listed.container, listed.name)
        if blob is not None and blob.etag == listed.etag:
            recorded = _take_in(services, blob, waiting_beside(services, blob), "timer")
            received += [recorded[0]] if recorded and recorded[1] else []
    return received


def _unknown(services: Services, now: datetime) -> list[BlobInfo]:
    """Return the versions of datasets, old enough to have been announced, that nothing is known of."""
    written = [
        blob
        for blob in services.blobs.list(names.DATASETS, now - MISSED_WITHIN)
        if not blob.is_folder and is_dataset(blob.name) and now - blob.modified_at >= EVENT_TAKES
    ]

    def is_known(blob: BlobInfo) -> bool:
        return services.store.run_of_version(names.version_key(blob.container, blob.name, blob.etag)) is not None

    with ThreadPoolExecutor(max_workers=LOOKUPS) as pool:
        return [blob for blob, known in zip(written, pool.map(is_known, written), strict=True) if not known]


def _beside(services: Services, blob: BlobInfo) -> tuple[str, dict[str, Any]]:
    """Read the `finetune.yaml` in the dataset's folder; return what it is called, too."""
    name = posixpath.join(posixpath.dirname(blob.name), OPTIONS_FILE)
    data = services.blobs.read_small(blob.container, name)
    path = f"{blob.container}/{name}"
    return path, parse_finetune_yaml(data, path) if data else {}
