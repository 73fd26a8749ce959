"""Usages and quotas as Azure prints them.

Source: the REST API's official examples `Usage/list.json` and `Quota/list.json`. There, `name.value` of a family is its
name for people; Microsoft's own SDKs expect the family's name of the VM sizes, and so it is here.
"""

import re
from typing import Any

from local import names
from local.azureml.usages.state import TOTAL, Use

_TITLES = {"dedicated": "Dedicated", "low_priority": "LowPriority"}
CLUSTERS = 200


def usages(uses: list[Use], clusters: int) -> list[dict[str, Any]]:
    return [_usage("", "totalCores", "Clusters", "Clusters", clusters, CLUSTERS), *(_of(use) for use in uses)]


def quotas(uses: list[Use]) -> list[dict[str, Any]]:
    provider = f"{names.SUBSCRIPTION_ID}/providers/{names.PROVIDER}/locations/{names.LOCATION}"
    return [
        {
            "id": f"{provider}/workspaces/quotas/{use.family}",
            "amlWorkspaceLocation": names.LOCATION,
            "type": f"{names.WORKSPACE_TYPE}/quotas",
            "name": {"value": use.family, "localizedValue": title(use)},
            "limit": use.limit,
            "unit": "Count",
        }
        for use in uses
        if use.family != TOTAL and use.priority == "dedicated"
    ]


def title(use: Use) -> str:
    """Name a limit for people.

    >>> title(Use("standardNCADSA100v4Family", "dedicated", 0, 0))
    'Standard NCADSA100v4 Family Cluster Dedicated vCPUs'
    """
    if use.family == TOTAL:
        return f"Total Cluster {_TITLES[use.priority]} Regional vCPUs"
    series = re.sub(r"^standard *| *family$", "", use.family, flags=re.IGNORECASE)
    return f"Standard {series} Family Cluster {_TITLES[use.priority]} vCPUs"


def _of(use: Use) -> dict[str, Any]:
    words = title(use)
    if use.family == TOTAL:
        kind = "dedicatedCores" if use.priority == "dedicated" else "lowPriorityCores"
        return _usage("", kind, words, words, use.used, use.limit)
    return _usage("/" + words.replace(" ", "_"), "vmFamily", use.family, words, use.used, use.limit)


def _usage(suffix: str, kind: str, name: str, words: str, used: int, limit: int) -> dict[str, Any]:
    return {
        "id": f"{names.SUBSCRIPTION_ID}/usages{suffix}",
        "type": f"{names.PROVIDER}/{kind}/usages",
        "currentValue": used,
        "limit": limit,
        "name": {"value": name, "localizedValue": words},
        "unit": "Count",
    }
