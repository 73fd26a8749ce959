"""Telling the world: CloudEvents to an Event Grid custom topic, when there is one. Never stops a run."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.identity import credential
from shared.runs.record import Run

if TYPE_CHECKING:
    from azure.eventgrid import EventGridPublisherClient

RUN_STATE_CHANGED = "FinetuneFunctions.RunStateChanged"
ENDPOINT_RETIRED = "FinetuneFunctions.EndpointRetired"
_log = logging.getLogger(__name__)


class Notifier:
    """Publishes the app's own events."""

    def __init__(self, topic_endpoint: str) -> None:
        self._topic_endpoint = topic_endpoint

    def run_state_changed(self, run: Run) -> None:
        """Tell that a run went to another state. The event's id is the same when it is told twice."""
        last = run.history[-1]
        data = {
            "runId": run.id,
            "project": run.project,
            "dataset": run.dataset.path,
            "from": last.from_state,
            "to": last.to_state,
            "reason": last.reason,
            "endpoint": run.endpoint,
        }
        self._publish(
            RUN_STATE_CHANGED, f"runs/{run.id}", f"{run.id}-{len(run.history)}-{last.to_state}", last.at, data
        )

    def endpoint_retired(self, run: Run, reason: str) -> None:
        """Tell that a run's endpoint was removed and does not bill any more."""
        last = run.history[-1]
        data = {"runId": run.id, "project": run.project, "endpoint": run.endpoint, "reason": reason}
        self._publish(
            ENDPOINT_RETIRED, f"endpoints/{run.endpoint}", f"{run.id}-{len(run.history)}-retired", last.at, data
        )

    def _publish(self, kind: str, subject: str, event_id: str, at: datetime, data: dict[str, Any]) -> None:
        if not self._topic_endpoint:
            return
        from azure.core.exceptions import AzureError
        from azure.core.messaging import CloudEvent

        event = CloudEvent(source="/finetune-functions", type=kind, subject=subject, id=event_id, time=at, data=data)
        try:
            self._publisher.send(event)
        except AzureError as fault:
            _log.warning("event %s was not published: %s", event_id, type(fault).__name__)

    @cached_property
    def _publisher(self) -> EventGridPublisherClient:
        from azure.eventgrid import EventGridPublisherClient

        return EventGridPublisherClient(self._topic_endpoint, credential(), retry_total=1)
