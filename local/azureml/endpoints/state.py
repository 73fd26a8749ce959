"""Online endpoints: their states and their traffic at a moment. Pure: no HTTP, the clock is an argument."""

import re
import secrets
import string
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from local.azureml.http import timestamp

Document = dict[str, Any]

# Recorded durations of Azure itself: create 90.5 s, traffic 20.4 s, delete 10.3 s. --speed divides them.
CREATE_S = 90.5
UPDATE_S = 20.4
DELETE_S = 10.3
REGENERATE_S = 5.0

AUTH_MODES = ("Key", "AMLToken", "AADToken")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_KEY_ALPHABET = string.ascii_letters + string.digits


def name_fault(name: str) -> str | None:
    """Say what is wrong with the name of an endpoint or a deployment, or None."""
    if _NAME.fullmatch(name):
        return None
    return (
        f"The name '{name}' is invalid: it must have 3 to 32 characters, begin with a letter, end with a letter or "
        "digit, and consist of letters, digits and hyphens."
    )


def traffic_fault(traffic: Mapping[str, Any], deployments: Mapping[str, str]) -> str | None:
    """Say what is wrong with a traffic split over the deployments there are, or None.

    Args: deployments: the provisioning state of each, by its name in lower case.
    """
    unknown = sorted(name for name in traffic if name.lower() not in deployments)
    if unknown:
        return f"Traffic is assigned to deployments that do not exist: {', '.join(unknown)}."
    wrong = [share for share in traffic.values() if not isinstance(share, int) or not 0 <= share <= 100]
    if wrong:
        return f"A traffic share must be a whole number from 0 to 100, found {wrong[0]!r}."
    unready = sorted(name for name, share in traffic.items() if share and deployments[name.lower()] != "Succeeded")
    if unready:
        found = ", ".join(f"{name} is {deployments[name.lower()]}" for name in unready)
        return f"Traffic is assigned to deployments that are not in Succeeded provisioning state: {found}."
    total = sum(traffic.values())
    return None if total in (0, 100) else f"The traffic shares must add up to 0 or 100, found {total}."


def created(now: datetime, speed: float) -> Document:
    """Begin an endpoint: it is Creating, has no traffic, and has its keys already."""
    return {
        "phase": "Creating",
        "created": timestamp(now),
        "ready_at": timestamp(now + timedelta(seconds=CREATE_S / speed)),
        "traffic": {},
        "next_traffic": {},
        "keys": {"primaryKey": new_key(), "secondaryKey": new_key()},
    }


def updated(doc: Document, traffic: Mapping[str, int], now: datetime, speed: float) -> Document:
    """Begin an update: the old traffic holds until it has succeeded."""
    return {
        **doc,
        "phase": "Updating",
        "ready_at": timestamp(now + timedelta(seconds=UPDATE_S / speed)),
        "traffic": traffic_at(doc, now),
        "next_traffic": dict(traffic),
    }


def deleted(doc: Document, now: datetime, speed: float) -> Document:
    return {
        **doc,
        "phase": "Deleting",
        "ready_at": timestamp(now + timedelta(seconds=DELETE_S / speed)),
    }


def status_at(doc: Document, now: datetime) -> str | None:
    """Answer Creating, Updating, Deleting or Succeeded; None once it has been deleted."""
    if now < datetime.fromisoformat(doc["ready_at"]):
        phase: str = doc["phase"]
        return phase
    return None if doc["phase"] == "Deleting" else "Succeeded"


def traffic_at(doc: Document, now: datetime) -> dict[str, int]:
    settled = status_at(doc, now) == "Succeeded"
    traffic: dict[str, int] = doc["next_traffic"] if settled else doc["traffic"]
    return traffic


def modified_at(doc: Document, now: datetime) -> str:
    """Answer when the endpoint last changed: the end of its last operation, once that is over."""
    at: str = doc["ready_at"] if status_at(doc, now) == "Succeeded" else doc["modified"]
    return at


def without_traffic(doc: Document, deployment: str) -> Document:
    """Drop a deleted deployment from the traffic."""
    kept = {
        which: {name: share for name, share in doc[which].items() if name.lower() != deployment.lower()}
        for which in ("traffic", "next_traffic")
    }
    return {**doc, **kept}


def with_new_key(doc: Document, which: str, value: str | None) -> Document:
    """Replace a key. The SDK sends the key's present value along, and means: make a new one."""
    given = value if value and value != doc["keys"][which] else new_key()
    return {**doc, "keys": {**doc["keys"], which: given}}


def new_key() -> str:
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(32))
