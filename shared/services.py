"""What a trigger needs to do its one call: made at first use, kept for the life of the process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from shared.azureml.client import AzureML
from shared.azureml.dataplane import DataPlane
from shared.notifications import Notifier
from shared.runs.store import RunStore
from shared.settings import Settings
from shared.storage import Blobs
from shared.traffic.batch import Traffic


def utc_now() -> datetime:
    """Return the time: the one place where the app looks at the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """The app's parts, wired up."""

    settings: Settings
    store: RunStore
    blobs: Blobs
    azureml: AzureML
    plane: DataPlane
    traffic: Traffic
    notifier: Notifier
    now: Callable[[], datetime]


def wire(settings: Settings, now: Callable[[], datetime] = utc_now) -> Services:
    """Wire the parts up. Sends nothing."""
    # The SDKs log every request at INFO; azure.ai.ml prints "experimental" notices of its own.
    logging.getLogger("azure").setLevel(logging.WARNING)
    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    # It warns of every timeout that is given with an event: it looks for it among the event's attributes, too.
    logging.getLogger("azure.eventgrid._legacy._generated._serialization").setLevel(logging.ERROR)
    azureml = AzureML(settings)
    return Services(
        settings=settings,
        store=RunStore(settings.storage, now=now, lease=settings.run_lease),
        blobs=Blobs(settings.storage),
        azureml=azureml,
        plane=DataPlane(azureml),
        traffic=Traffic(settings),
        notifier=Notifier(settings.event_topic_endpoint, now),
        now=now,
    )


@lru_cache(maxsize=1)
def services() -> Services:
    """Return this process's services, from its environment. Raises: SettingsError."""
    return wire(Settings.load())
