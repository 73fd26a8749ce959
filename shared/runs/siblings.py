"""What lies beside a dataset in its folder, and what a run makes of it: waits for it, is tested with it, steps back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from shared.errors import LeaseLostError, RunBusyError
from shared.runs import pairs
from shared.runs.context import Context, Moved, Waiting
from shared.runs.dataset_options import DatasetOptions
from shared.runs.names import is_dataset
from shared.runs.options import effective
from shared.runs.pairs import Role, file_of, folder_of
from shared.runs.parts import DatasetVersion
from shared.runs.record import Run
from shared.runs.states import ENGAGED, RunState
from shared.runs.status import write_status
from shared.services import Services
from shared.storage import BlobInfo, Blobs

ALONE_FOR = timedelta(minutes=15)
"""How long a dataset that is named like a test file waits for a training file: longer than an upload of both takes."""
_LATE = (
    "{} was uploaded when the preparation had begun: this run is not tested with it. "
    "A finetune.yaml that announces dataset.train and dataset.test makes runs wait for both."
)


def version_of(blob: BlobInfo) -> DatasetVersion:
    """Return what is recorded of a blob that is read for a run."""
    return DatasetVersion(
        container=blob.container,
        blob=blob.name,
        etag=blob.etag,
        modified_at=blob.modified_at,
        size=blob.size,
        md5=blob.md5,
    )


def datasets_beside(blobs: Blobs, container: str, name: str) -> list[BlobInfo]:
    """Return the other files of a blob's folder that may be datasets."""
    found = blobs.folder(container, folder_of(name))
    return [blob for blob in found if blob.name != name and not blob.is_folder and is_dataset(blob.name)]


def role_of(blobs: Blobs, container: str, name: str, announced: DatasetOptions) -> Role:
    """Return what a file is to the others of its folder; looks into the folder only where that matters."""
    file = file_of(name)
    beside = datasets_beside(blobs, container, name) if pairs.is_test_name(file) else []
    return pairs.role_of(file, [file_of(blob.name) for blob in beside], announced)


def settle(context: Context) -> Moved | Waiting | None:
    """Decide what a received run is to its folder, and record the test file's version; None: it may begin.

    Waiting costs nothing, so what was announced is waited for without a limit; a person can cancel.
    """
    run, blobs, announced = context.run, context.services.blobs, context.options.dataset
    dataset, folder = run.dataset, f"{run.dataset.container}/{folder_of(run.dataset.blob)}"
    run.test_file = None
    role = role_of(blobs, dataset.container, dataset.blob, announced)
    if role in (Role.TEST, Role.PERHAPS_TEST) and not run.asked and (outcome := _step_back(context, role)):
        return outcome
    if announced.tokenizer and blobs.describe(dataset.container, folder_of(dataset.blob) + announced.tokenizer) is None:
        return Waiting(f"{folder}{announced.tokenizer}, the tokenizer that dataset.tokenizer names")
    if role != Role.TRAINING:
        return None
    test = find_test(context)
    if test is None and announced.test:
        return Waiting(f"a test file {announced.test} beside it, in {folder}: dataset.test announces one")
    if test is not None:
        run.test_file = version_of(test)
        why = "as dataset.test announces" if announced.test else "which lies beside it; nothing is held out of it"
        run.note(f"Tested with {run.test_file.path}, {why}.")
    return None


def find_test(context: Context) -> BlobInfo | None:
    """Return what a run's dataset is tested with, as the folder is now."""
    dataset, announced = context.run.dataset, context.options.dataset
    file = file_of(dataset.blob)
    if announced.test is None and not pairs.is_training_name(file):
        return None
    beside = datasets_beside(context.services.blobs, dataset.container, dataset.blob)
    return pairs.choose_test(file, beside, announced)


def note_late_test(context: Context) -> None:
    """Say so when a test file has come while the dataset was being prepared without one."""
    if context.run.test_file is not None or context.options.dataset.test is not None:
        return
    if (test := find_test(context)) is not None:
        context.run.note(_LATE.format(f"{test.container}/{test.name}"))


def waiting_beside(services: Services, blob: BlobInfo) -> Sequence[Run]:
    """Return the runs of a blob's folder that have not begun: an upload may be what they wait for."""
    return services.store.waiting_in(f"{blob.container}/{folder_of(blob.name)}")


def tell_begun(services: Services, test: BlobInfo) -> None:
    """Note in the runs that a new test file comes too late for. A busy one notes it itself when it has prepared."""
    folder, project = folder_of(test.name), test.name.partition("/")[0]
    if not folder:
        return
    for run in services.store.page(state=None, project=project, size=50, token=None).runs:
        if run.state not in ENGAGED or run.state == RunState.RECEIVED or run.test_file is not None:
            continue
        announced = effective(run.options, services.settings).dataset
        if folder_of(run.dataset.blob) != folder or not pairs.is_trained_on(file_of(run.dataset.blob), announced):
            continue
        with suppress(RunBusyError, LeaseLostError), services.store.claim(run.id) as claim:
            claim.run.note(_LATE.format(f"{test.container}/{test.name}"))
            write_status(services, claim.run)


def _step_back(context: Context, role: Role) -> Moved | Waiting | None:
    """Leave a file that is a test file, by its name or by what was announced, to the training file beside it."""
    run = context.run
    path = run.dataset.blob
    instead = f'POST /api/runs {{"dataset": "{path}"}} trains on it all the same'
    if role == Role.TEST:
        run.set_aside = True
        return Moved(RunState.CANCELLED, f"{path} is the test file of what lies beside it; {instead}")
    if context.in_state_for >= ALONE_FOR:
        return None
    until = run.state_since + ALONE_FOR
    return Waiting(
        f"a training file (train*) beside it, because {file_of(path)} is named like a test file; if there is none by "
        f"{until:%H:%M} UTC, it is trained on like any other dataset. {instead}, at once"
    )
