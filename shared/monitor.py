"""The client of Azure Monitor, which counts the requests of online endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.identity import PATIENCE, credential
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.mgmt.monitor import MonitorManagementClient


def monitor(settings: Settings) -> MonitorManagementClient:
    """Make a client of Azure Monitor. Sends nothing."""
    from azure.mgmt.monitor import MonitorManagementClient

    resource_manager = settings.cloud.resource_manager.rstrip("/")
    return MonitorManagementClient(
        credential(),
        settings.subscription_id,
        base_url=resource_manager,
        credential_scopes=[f"{resource_manager}/.default"],
        **PATIENCE,
    )
