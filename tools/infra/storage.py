"""Containers, tables and queues: those that the code uses, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tools.infra.app import App
from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment, Resource

ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINER = f"{ACCOUNT}/blobServices/containers"
TABLE = f"{ACCOUNT}/tableServices/tables"
QUEUE = f"{ACCOUNT}/queueServices/queues"


def check(app: App, deployment: Deployment) -> Iterator[Complaint]:
    package = package_container(deployment)
    containers = {**app.containers, **dict.fromkeys(package, "the deployment package")}
    yield from _same(deployment, CONTAINER, "container", containers)
    yield from _same(deployment, TABLE, "table", app.tables)
    # The blob trigger makes its queue itself, and its poison beside it: nothing else is there to be read or written.
    yield from _same(deployment, QUEUE, "queue", {}, allowed=("webjobs-blobtrigger-",))
    for account in deployment.of(ACCOUNT):
        yield from _keys(account)


def package_container(deployment: Deployment) -> list[str]:
    """Return the container that the app's package is deployed to, as its `functionAppConfig` says."""
    found: list[str] = []
    for site in deployment.of("Microsoft.Web/sites"):
        url = site.at("properties", "functionAppConfig", "deployment", "storage", "value")
        found += [text.rstrip("/").rpartition("/")[2].rpartition("}")[2] for text in (url.texts if url else [])]
    return [name for name in found if name]


def _same(
    deployment: Deployment, kind: str, word: str, needed: Mapping[str, str], allowed: tuple[str, ...] = ()
) -> Iterator[Complaint]:
    there: dict[str, Resource] = {name: one for one in deployment.of(kind) for name in one.names}
    missing = [name for name in needed if name not in there]
    surplus = [name for name in there if name not in needed and "${" not in name and not name.startswith(allowed)]
    if len(missing) == len(surplus) == 1:
        (name,), (other,) = missing, surplus
        expected = f"{name!r}: {needed[name]}"
        yield Complaint(there[other].where, f"nobody uses the {word} {other!r}", expected, "Rename it")
        return
    for name in missing:
        where = _nearest(deployment, kind)
        yield Complaint(where, f"there is no {word} {name!r}", f"one: {needed[name]}", f"Add the {word}")
    for name in surplus:
        known = ", ".join(needed) or "none"
        what = f"nobody uses the {word} {name!r}"
        yield Complaint(there[name].where, what, f"only these: {known}", "Remove or rename it")


def _nearest(deployment: Deployment, kind: str) -> Where:
    """Return where a missing thing would be written: beside its like, or at the storage account."""
    near = [*deployment.of(kind), *deployment.of(ACCOUNT)]
    return near[0].where if near else Where("infra/main.bicep", 1)


def _keys(account: Resource) -> Iterator[Complaint]:
    for name, expected in (("allowSharedKeyAccess", "false"), ("allowBlobPublicAccess", "false")):
        value = account.at("properties", name)
        if value is None or value.texts != [expected]:
            what = f"{name} of {account.symbol} is {' or '.join(value.texts) if value else 'not said'}"
            yield Complaint(value.where if value else account.where, what, expected, "Set it: identities are enough")
