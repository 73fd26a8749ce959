"""What endpoints cost in Azure. On this machine nothing does."""

import json
from dataclasses import dataclass
from typing import Any

from local.stack import ROOT

HOURS = 30 * 24
"""A month; the app, too, counts as saved what 30 days would have cost."""
# List price of East US, pay as you go, Linux, found in many public copies in November 2026.
USD_PER_HOUR_HERE = {"Standard_F4s_v2": 0.169}
"""The size that the registry's entry of SmolLM2 asks for, here as in Azure."""


@dataclass(frozen=True)
class Price:
    """A VM size and its list price."""

    size: str
    usd_per_hour: float
    region: str
    as_of: str


def phi4() -> Price:
    """Return the smallest size that Phi-4 can be served on, by the registry's entry and the app's table of prices."""
    (entry,) = (ROOT / "local" / "azureml" / "catalog" / "models").glob("Phi-4-*.json")
    allowed = json.loads(entry.read_text("utf-8"))["properties"]["inference-recommended-sku"].split(", ")
    table = json.loads((ROOT / "shared" / "prices.json").read_text("utf-8"))
    priced: dict[str, dict[str, Any]] = {size: table["sizes"][size] for size in allowed if size in table["sizes"]}
    size = min(priced, key=lambda name: (priced[name]["gpus"], priced[name]["memory_gib"]))
    return Price(size, priced[size]["usd_per_hour"], table["region"], priced[size]["as_of"])
