"""The SDK's clients: made at first use, then kept, because importing azure.ai.ml takes about two seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.azureml.trouble import understood
from shared.identity import ASKED_ONCE, credential
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import VmSize


def plain(value: Any) -> str:
    """Return the wire's word for a status: the SDK gives it as a string here and as an enum there."""
    return str(getattr(value, "value", value))


class AzureML:
    """The workspace and the registry of one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def workspace(self) -> MLClient:
        """Client of the workspace. Making it sends nothing."""
        return self._client(
            subscription_id=self.settings.subscription_id,
            resource_group_name=self.settings.resource_group,
            workspace_name=self.settings.workspace_name,
        )

    @cached_property
    def registry(self) -> MLClient:
        """Client of the registry that holds foundation models. Making it asks for the registry's address."""
        return self._client(registry_name=self.settings.model_registry)

    @cached_property
    def vm_sizes(self) -> Sequence[VmSize]:
        """The VM sizes of the workspace's region, asked for once: they change when Azure builds new machines."""
        with understood("listing the region's VM sizes"):
            return list(self.workspace.compute.list_sizes())

    @property
    def workspace_id(self) -> str:
        """ARM id of the workspace."""
        return (
            f"/subscriptions/{self.settings.subscription_id}/resourceGroups/{self.settings.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.settings.workspace_name}"
        )

    def _client(self, **target: str) -> MLClient:
        from azure.ai.ml import MLClient

        return MLClient(credential(), enable_telemetry=False, **ASKED_ONCE, **target, **self._cloud())

    def _cloud(self) -> dict[str, Any]:
        cloud = self.settings.cloud
        return {"cloud": cloud.name} | ({"cloud_metadata": dict(cloud.metadata)} if cloud.metadata else {})
