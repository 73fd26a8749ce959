"""What the host remembers of a timer between restarts, and who may fire it: blobs in `azure-webjobs-hosts`."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient

from local.functions_host.schedules import Schedule

CONTAINER = "azure-webjobs-hosts"
# The shortest lease Azure gives: after a kill the next host has to wait for its end.
LOCK_S = 15


@dataclass(frozen=True)
class TimerStatus:
    """`last` None: it never ran."""

    last: datetime | None
    next: datetime
    updated: datetime | None

    def document(self) -> dict[str, str]:
        return {"Last": _text(self.last), "Next": _text(self.next), "LastUpdated": _text(self.updated)}

    @classmethod
    def parse(cls, content: bytes) -> "TimerStatus":
        document = json.loads(content)
        following = _moment(document["Next"])
        if following is None:
            raise ValueError("a timer status without Next")
        return cls(_moment(document["Last"]), following, _moment(document["LastUpdated"]))


_NEVER = "0001-01-01T00:00:00"


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else _NEVER


def _moment(text: str) -> datetime | None:
    return None if text.startswith(_NEVER) else datetime.fromisoformat(text)


def at_start(status: TimerStatus | None, schedule: Schedule, now: datetime) -> tuple[TimerStatus, bool]:
    """Return the status to keep when a host starts, and whether an occurrence was missed.

    Several missed occurrences are one. A schedule that changed meanwhile is not past due.
    Source: the Timers extension, `ScheduleMonitor.CheckPastDueAsync`.
    """
    if status is None:
        return TimerStatus(None, schedule.after(now), None), False
    since = status.last or status.updated
    if since is not None and schedule.after(since) != status.next:
        return TimerStatus(status.last, schedule.after(now), now), False
    return status, now > status.next


class TimerStore:
    """The status and lock blobs of one timer function. Everything here blocks."""

    def __init__(self, service: Callable[[], BlobServiceClient], host_id: str, function: str) -> None:
        self._service = service
        self._status_name = f"timers/{host_id}/Host.Functions.{function}/status"
        self._lock_name = f"locks/{host_id}/Host.Functions.{function}.Listener"
        self._lease: BlobLeaseClient | None = None

    def read(self) -> TimerStatus | None:
        """Return the status, None when there is none (or one that cannot be read: it is then written anew)."""
        try:
            content = self._blob(self._status_name).download_blob().readall()
        except ResourceNotFoundError:
            return None
        try:
            return TimerStatus.parse(content)
        except (ValueError, KeyError):
            return None

    def write(self, status: TimerStatus) -> None:
        self._blob(self._status_name).upload_blob(json.dumps(status.document()), overwrite=True)

    def hold_lock(self) -> bool:
        """Take or renew the lock; False when another host has it."""
        try:
            if self._lease is not None:
                self._lease.renew()
                return True
        except HttpResponseError:
            self._lease = None
        blob = self._blob(self._lock_name)
        with suppress(ResourceExistsError, HttpResponseError):
            blob.upload_blob(b"")
        try:
            self._lease = blob.acquire_lease(lease_duration=LOCK_S)
        except HttpResponseError as error:
            if error.status_code != 409:
                raise
            return False
        return True

    def release_lock(self) -> None:
        if self._lease is not None:
            with suppress(HttpResponseError):
                self._lease.release()
            self._lease = None

    def _blob(self, name: str) -> BlobClient:
        container = self._service().get_container_client(CONTAINER)
        if not container.exists():
            with suppress(ResourceExistsError):
                container.create_container()
        return container.get_blob_client(name)
