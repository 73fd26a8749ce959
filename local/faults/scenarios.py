"""Stories a person thinks of, as rules. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.faults.rules import RuleError

Document = dict[str, Any]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600}
# A job's PUT, and nothing below it.
_SUBMIT = r"/workspaces/[^/]+/jobs/[^/]+$"


def seconds(text: str) -> float:
    """Read a duration: 90, 90s, 5m, 1.5h. Raises: ValueError."""
    match = _DURATION.fullmatch(text.removeprefix("-"))
    if match is None:
        raise ValueError(f"{text!r} is no duration such as 90s, 5m or 1.5h")
    return float(match[1]) * _UNITS[match[2]] * (-1 if text.startswith("-") else 1)


def unreachable(lasts_s: float) -> Document:
    """Nothing of the workspace answers: every connection is dropped. Endpoints go on serving."""
    return {"requests": [{"plane": plane, "drop": True, "seconds": lasts_s} for plane in ("arm", "data")]}


def busy(lasts_s: float, retry_after: float | None = None) -> Document:
    """Every request to the workspace is throttled, as recorded."""
    asked = {"status": 429, "seconds": lasts_s} | ({} if retry_after is None else {"retry_after": retry_after})
    return {"requests": [{"plane": plane, **asked} for plane in ("arm", "data")]}


def slow(lasts_s: float, delay_s: float) -> Document:
    """Every answer of the workspace comes late."""
    return {
        "requests": [
            {"plane": plane, "delay_s": delay_s, "when": "after", "seconds": lasts_s} for plane in ("arm", "data")
        ]
    }


def early_event(times: int = 1, at_most_s: float = 120) -> Document:
    """A job's completion is delivered before the call that submits it has returned."""
    rule = {"method": "PUT", "path": _SUBMIT, "plane": "arm", "when": "after", "until": "job_ended"}
    return {"requests": [{**rule, "delay_s": at_most_s, "times": times}]}


def lost_completion(times: int | None = None) -> Document:
    """A job's completion is told by no event."""
    limit = {} if times is None else {"times": times}
    told = ({"type": "RunCompleted"}, {"type": "RunStatusChanged", "status": "completed"})
    return {"events": [{"do": "lose", **which, **limit} for which in told]}


def taken(endpoint: str, where: str = "workspace") -> Document:
    """An endpoint's name is somebody else's. `endpoint`: a regular expression for the whole name."""
    return {"taken": [{"endpoint": endpoint, "where": where}]}


def skew(by_s: float) -> Document:
    """Events carry times that are ahead of now (negative: behind)."""
    return {"clock_skew_s": [{"by_s": by_s}]}


def from_document(document: Mapping[str, Any]) -> Document:
    """Read {"scenario": NAME, its parameters}. Raises: RuleError: no such scenario, or not its parameters."""
    known: dict[str, Callable[..., Document]] = {
        "unreachable": unreachable,
        "busy": busy,
        "slow": slow,
        "early-event": early_event,
        "lost-completion": lost_completion,
        "taken": taken,
        "skew": skew,
    }
    name = document["scenario"]
    if name not in known:
        raise RuleError(f"{name!r} is no scenario; there are {', '.join(known)}")
    try:
        return known[name](**{key: value for key, value in document.items() if key != "scenario"})
    except TypeError as fault:
        raise RuleError(f"scenario {name}: {fault}") from fault
