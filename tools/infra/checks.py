"""Every check of a folder, in the order of their complaints."""

from __future__ import annotations

from pathlib import Path

from tools.infra import events, functions, hooks, parameters, references, resource_types, roles, settings, storage
from tools.infra.app import App
from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment
from tools.infra.package import contents


def complaints(folder: Path) -> list[Complaint]:
    """Return what is wrong with a folder's azure.yaml, infra/, hooks and .funcignore, held against this repository's
    code. Bicep that cannot be read is all there is to say of it: what else would be said would be its consequence."""
    if not (folder / "infra" / "main.bicep").is_file():
        where = Where("infra/main.bicep", 1)
        return [Complaint(where, "there is no such file", "the Bicep that azd deploys", "Write it, or name its folder")]
    app, deployment = App(), Deployment(folder)
    found = deployment.faults()
    if not found:
        for check in (settings, storage, events, functions):
            found += check.check(app, deployment)
        found += roles.check(deployment)
        found += parameters.check(deployment)
        found += resource_types.check(deployment)
        found += references.check(deployment)
    found += hooks.check(app, folder)
    found += contents.check(folder)
    return sorted(set(found))
