"""Cores: what is held of each VM family, and what a subscription may hold. Pure: no HTTP, no clock, no file.

Source: "Manage and increase quotas" in Azure Machine Learning's documentation. A family has a limit for dedicated
machines, and all families together; those of low priority have one limit for all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.azureml import catalog

GENEROUS = 100_000
"""Cores of any limit that nobody has set: more than this machine will ever be asked for."""
NO_LIMIT = -1
TOTAL = "total"
DEDICATED, LOW_PRIORITY = "dedicated", "low_priority"
# Source: "Managed online endpoints SKU list", column "Skip 20% Reservation".
_WITHOUT_RESERVE = re.compile(r"_a100_|_h100_|^standard_nd(96asr_v4|40rs_v2)$")


@dataclass(frozen=True)
class Holding:
    """Cores that a job, a cluster or a deployment holds."""

    family: str
    priority: str
    cores: int


@dataclass(frozen=True)
class Use:
    """One limit, and how much of it is used. family: TOTAL for all."""

    family: str
    priority: str
    used: int
    limit: int

    @property
    def free(self) -> int:
        return GENEROUS if self.limit == NO_LIMIT else self.limit - self.used


def uses(holdings: Iterable[Holding], asked: Mapping[str, Any]) -> list[Use]:
    """Answer all limits. `asked` is what a person has set, such as {"dedicated": {"standardFSv2Family": 8}}."""
    held = list(holdings)
    families = dict.fromkeys(size["family"] for size in catalog.vm_sizes())
    found = []
    for priority, own in ((DEDICATED, GENEROUS), (LOW_PRIORITY, NO_LIMIT)):
        limits = asked.get(priority) or {}
        used = sum(holding.cores for holding in held if holding.priority == priority)
        found.append(Use(TOTAL, priority, used, int(limits.get(TOTAL, GENEROUS))))
        for family in families:
            used = sum(h.cores for h in held if (h.priority, h.family) == (priority, family))
            found.append(Use(family, priority, used, int(limits.get(family, own))))
    return found


def of_machines(size: str, count: int, priority: str = DEDICATED) -> list[Holding]:
    """Answer what so many machines hold; nothing when the size is not offered."""
    machine = catalog.vm_size(size)
    if machine is None or count <= 0:
        return []
    return [Holding(machine["family"], priority, machine["vCPUs"] * count)]


def of_deployment(size: str, instances: int) -> list[Holding]:
    """Answer what a deployment holds: for most sizes with a reserve of 20 % for upgrades, in whole instances."""
    reserved = instances if _WITHOUT_RESERVE.search(size.lower()) else -(-6 * instances // 5)
    return of_machines(size, reserved)


def of_job(inputs: Mapping[str, str], clusters: Mapping[str, Mapping[str, Any]]) -> tuple[str | None, list[Holding]]:
    """Answer the cluster a running job is on, None for serverless compute, and what its nodes hold."""
    compute, nodes = inputs.get("compute_finetune", "serverless"), int(inputs.get("num_nodes_finetune") or 1)
    if compute == "serverless":
        return None, of_machines(inputs.get("instance_type_finetune", ""), nodes)
    name = compute.rpartition("/")[2].removeprefix("azureml:").lower()
    return name, of_machines(*_size_and(nodes, clusters.get(name)))


def of_cluster(cluster: Mapping[str, Any]) -> list[Holding]:
    """Answer what a cluster's least number of nodes holds."""
    scale = cluster["properties"]["properties"].get("scaleSettings") or {}
    return of_machines(*_size_and(int(scale.get("minNodeCount") or 0), cluster))


def lacking(needed: Iterable[Holding], found: Iterable[Use]) -> Use | None:
    """Answer the first limit into which something does not fit any more."""
    found = list(found)
    for holding in needed:
        for use in found:
            if use.priority == holding.priority and use.family in (TOTAL, holding.family) and use.free < holding.cores:
                return use
    return None


def _size_and(nodes: int, cluster: Mapping[str, Any] | None) -> tuple[str, int, str]:
    own = cluster["properties"]["properties"] if cluster else {}
    return str(own.get("vmSize")), nodes, LOW_PRIORITY if own.get("vmPriority") == "LowPriority" else DEDICATED
