"""Online deployments: their states. Pure: no HTTP, no process, the clock is an argument.

A deployment is Updating until its process answers (Succeeded) or ends (Failed): what moves it really happened.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from local.azureml.http import timestamp

Document = dict[str, Any]

DELETE_S = 10.3
_DEFAULT_PROBE = {
    "failureThreshold": 30,
    "successThreshold": 1,
    "timeout": "PT2S",
    "period": "PT10S",
    "initialDelay": "PT10S",
}
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
# What a new process is needed for; anything else can change while the old one runs.
_PROCESS_KEYS = ("model", "environmentVariables", "environmentId", "codeConfiguration", "instanceType")


def seconds(duration: str) -> float:
    """Read an ISO 8601 duration: PT1M30S is 90.0.

    Raises: ValueError: it is none.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or duration in ("P", "PT"):
        raise ValueError(f"{duration!r} is not a duration such as PT1M30S")
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def probe(sent: Document | None) -> Document:
    """Fill a probe's missing parts with the service's defaults."""
    return {**_DEFAULT_PROBE, **{key: value for key, value in (sent or {}).items() if value is not None}}


def patience_s(properties: Document) -> float:
    """Answer how long a process may take to answer for the first time, by its readiness and liveness probes."""
    probes = (probe(properties.get("livenessProbe")), probe(properties.get("readinessProbe")))
    return max(seconds(p["initialDelay"]) + seconds(p["period"]) * float(p["failureThreshold"]) for p in probes)


def created(asked: Document, now: datetime) -> Document:
    return {
        **asked,
        "phase": "Updating",
        "revision": 1,
        "created": timestamp(now),
        "delete_ends": None,
        "error": None,
    }


def updated(old: Document, asked: Document) -> Document:
    """Change a deployment. The process is replaced only when the change reaches it."""
    same = all(old["properties"].get(key) == asked["properties"].get(key) for key in _PROCESS_KEYS)
    return {**old, **asked, "phase": "Updating", "revision": old["revision"] + (0 if same else 1), "error": None}


def succeeded(doc: Document) -> Document:
    return {**doc, "phase": "Succeeded"}


def failed(doc: Document, message: str) -> Document:
    return {**doc, "phase": "Failed", "error": message}


def deleted(doc: Document, now: datetime, speed: float) -> Document:
    return {
        **doc,
        "phase": "Deleting",
        "delete_ends": timestamp(now + timedelta(seconds=DELETE_S / speed)),
    }


def status_at(doc: Document, now: datetime) -> str | None:
    """Answer Updating, Succeeded, Failed or Deleting; None once it has been deleted."""
    gone = doc["delete_ends"] is not None and now >= datetime.fromisoformat(doc["delete_ends"])
    return None if gone else str(doc["phase"])


def wants_process(doc: Document) -> bool:
    return doc["phase"] in ("Updating", "Succeeded")


def pending_limit(doc: Document) -> int:
    """Answer how many requests may be under way at once: 2 x concurrency per instance x instances.

    Source: the documentation's table of status codes of online endpoints, at 429.
    """
    settings = doc["properties"].get("requestSettings") or {}
    per_instance = settings.get("maxConcurrentRequestsPerInstance") or 1
    return int(2 * per_instance * doc["sku"]["capacity"])


def request_timeout_s(doc: Document) -> float:
    settings = doc["properties"].get("requestSettings") or {}
    return seconds(settings.get("requestTimeout") or "PT5S")
