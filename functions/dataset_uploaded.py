"""A dataset was uploaded: record a run for it and move it on."""

from __future__ import annotations

import contextlib
import logging

import azure.functions as func

# The worker looks for this module once, at the first parameter it indexes; without it every by-reference binding is
# refused. It is small, unlike the blob extension below.
import azurefunctions.extensions.base  # noqa: F401

from functions.lazy import lazy_module
from functions.observed import observed
from shared.errors import LeaseLostError, RunBusyError
from shared.runs.lifecycle import advance
from shared.runs.names import DATASETS
from shared.runs.reception import receive_upload
from shared.services import services
from shared.storage import find_blob_info

# The worker resolves the annotation when it indexes the function; until then nothing of azure.storage is loaded.
blob = lazy_module("azurefunctions.extensions.bindings.blob")
bp = func.Blueprint()
_log = logging.getLogger(__name__)


@bp.blob_trigger(arg_name="client", path="datasets/{name}", connection="DATASET_STORAGE", source="EventGrid")
@observed("blob")
def dataset_uploaded(client: blob.BlobClient) -> None:  # type: ignore[name-defined]
    """Receive the blob as it is now, and move on what waits for it.

    Idempotency: the run's id, a function of the blob's version and options.
    """
    if client.container_name != DATASETS:
        # The host does not hold an event's address against the trigger's path.
        _log.warning("an event names container %s, which holds no datasets: ignored", client.container_name)
        return
    info = find_blob_info(client)
    if info is None:
        _log.info("%s/%s is gone again", client.container_name, client.blob_name)
        return
    for run_id in receive_upload(services(), info, trigger="blob"):
        # Busy: an earlier delivery is at it.
        with contextlib.suppress(RunBusyError, LeaseLostError):
            advance(services(), run_id, trigger="blob")
