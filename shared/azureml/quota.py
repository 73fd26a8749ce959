"""How many cores the subscription may use in the workspace's region, and whether a training or an endpoint fits in.

Each VM family has a limit, and all families together; machines of low priority have only the latter, one of their own.
Serverless compute, clusters and endpoints use the same cores.
Source: the usages' official example (`Usage/list.json` of the REST API's specification), and "Manage and increase
quotas" in Azure Machine Learning's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.azureml.client import AzureML
from shared.azureml.trouble import understood

# Sizes of which Azure keeps no reserve. Source: "Managed online endpoints SKU list", column "Skip 20% Reservation".
_WITHOUT_RESERVE = frozenset(
    {
        "standard_nc24ads_a100_v4",
        "standard_nc48ads_a100_v4",
        "standard_nc96ads_a100_v4",
        "standard_nc40ads_h100_v5",
        "standard_nc80adis_h100_v5",
        "standard_nd96amsr_a100_v4",
        "standard_nd96asr_v4",
        "standard_nd40rs_v2",
        "standard_nd96is_h100_v5",
        "standard_nd96isr_h100_v5",
    }
)
_TOTAL = re.compile(r"^totalcluster(dedicated|lowpriority)regionalvcpus$")
_DECORATION = re.compile(r"(family)?(cluster(dedicated|lowpriority)vcpus)?$")
NO_LIMIT = -1


@dataclass(frozen=True)
class Limit:
    """One limit: of a family, or of all (family ""). limit: cores, NO_LIMIT for none. used: by whomever."""

    name: str
    family: str
    low_priority: bool
    limit: int
    used: int


@dataclass(frozen=True)
class Machine:
    """A VM size of the region."""

    size: str
    family: str
    cores: int


@dataclass(frozen=True)
class Room:
    """Whether machines fit in.

    needed: cores, None when the size or its limits are not listed. lacking: the limit that is too low even when nobody
    uses anything; busy: the one of which too much is in use now.
    """

    machines: str
    needed: int | None = None
    lacking: Limit | None = None
    busy: Limit | None = None

    @property
    def is_known(self) -> bool:
        """Whether Azure says anything about it."""
        return self.needed is not None


class Quota:
    """The region's limits and sizes at one moment."""

    def __init__(self, limits: Sequence[Limit], machines: Mapping[str, Machine]) -> None:
        """machines: by the size's name in small letters."""
        self._limits, self._machines = limits, machines

    def room_to_train(self, size: str, nodes: int, *, low_priority: bool) -> Room:
        """Look whether a job's nodes fit in."""
        return self._room(size, nodes, nodes, low_priority)

    def room_to_serve(self, size: str, instances: int) -> Room:
        """Look whether a deployment fits in, with the reserve that Azure keeps for upgrades."""
        return self._room(size, instances, instances_reserved(size, instances), low_priority=False)

    def _room(self, size: str, wanted: int, reserved: int, low_priority: bool) -> Room:
        words = f"{wanted} x {size}"
        machine = self._machines.get(size.lower())
        limits = [limit for limit in self._limits if machine and _binds(limit, machine, low_priority)]
        if machine is None or not limits:
            return Room(words)
        needed = machine.cores * reserved
        bounds = [limit for limit in limits if limit.limit != NO_LIMIT]
        lacking = next((limit for limit in bounds if limit.limit < needed), None)
        busy = next((limit for limit in bounds if limit.limit - limit.used < needed), None)
        return Room(words, needed, lacking, None if lacking else busy)


def read_quota(azureml: AzureML) -> Quota:
    """Ask Azure. Raises: TransientError, AccessDeniedError and other StepErrors: it does not say."""
    with understood("reading the region's quota"):
        usages = [vars(usage) for usage in azureml.workspace.compute.list_usage()]
    return Quota(limits_of(usages), machines_of(vars(size) for size in azureml.vm_sizes))


def instances_reserved(size: str, instances: int) -> int:
    """Return for how many instances a deployment needs quota: 20 % more, rounded up, for most sizes.

    Source: "Virtual machine quota allocation for deployment": ceil(1.2 * instances) * cores.

    >>> instances_reserved("Standard_F4s_v2", 1), instances_reserved("Standard_NC24ads_A100_v4", 1)
    (2, 1)
    """
    return instances if size.lower() in _WITHOUT_RESERVE else -(-6 * instances // 5)


def limits_of(usages: Iterable[Mapping[str, Any]]) -> list[Limit]:
    """Read the usages that say what the subscription may use; those of workspaces and clusters are parts of it.

    The SDK leaves the answer's keys under their wire names, beside attributes that stay None.
    """
    limits = []
    for usage in usages:
        names, limit, used = _names(usage.get("name")), _int(usage, "limit"), _int(usage, "currentValue")
        used = _int(usage, "current_value") if used is None else used
        if limit is None or not names or "/workspaces/" in str(usage.get("id") or "").lower():
            continue
        plain = [_plain(name) for name in names]
        kind = str(usage.get("type") or "").lower()
        low_priority = "lowpriority" in kind or any("lowpriority" in name for name in plain)
        is_total = any(_TOTAL.match(name) for name in plain)
        family = "" if is_total else _DECORATION.sub("", plain[0])
        limits.append(Limit(names[-1], family, low_priority, limit, used or 0))
    return limits


def machines_of(sizes: Iterable[Mapping[str, Any]]) -> dict[str, Machine]:
    """Read the region's sizes; one that does not say its cores or family is left out."""
    machines = {}
    for size in sizes:
        name, family = str(size.get("name") or ""), str(size.get("family") or "")
        cores = _int(size, "vCPUs") or _int(size, "v_cp_us")
        if name and family and cores:
            machines[name.lower()] = Machine(name, _DECORATION.sub("", _plain(family)), cores)
    return machines


def _binds(limit: Limit, machine: Machine, low_priority: bool) -> bool:
    return limit.low_priority == low_priority and limit.family in ("", machine.family)


def _names(name: Any) -> list[str]:
    """Return a usage's names, for programs and for people: {"value", "localizedValue"}, or an object with both."""
    if isinstance(name, Mapping):
        found = [name.get("value"), name.get("localizedValue") or name.get("localized_value")]
    else:
        found = [getattr(name, "value", None), getattr(name, "localized_value", None)]
    return [str(text) for text in found if text]


def _plain(text: str) -> str:
    """Azure spells a family in several ways: `standardNCADSA100v4Family`, `Standard NCADSA100v4 Family Cluster ...`."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _int(values: Mapping[str, Any], key: str) -> int | None:
    value = values.get(key)
    return int(value) if isinstance(value, int | float) else None
