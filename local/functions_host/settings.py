"""App settings as the host reads them: `%NAME%` in bindings, the storage connections, host.json."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REFERENCE = re.compile(r"%([^%]*)%")
_TIMESPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d+))?$")
DEFAULT_TIMEOUT_S = 30 * 60.0


class SettingError(ValueError):
    """A setting that a binding names is missing or not usable."""


class HostConfigError(ValueError):
    """host.json cannot be used: the host does not start."""


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """Replace every `%NAME%` by the setting of that name. Raises: SettingError: there is no such setting."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environ:
            raise SettingError(f"'%{match[1]}%' does not resolve to a value.")
        return environ[match[1]]

    return _REFERENCE.sub(value, text)


def timespan_s(text: str) -> float | None:
    """Return the seconds of a .NET TimeSpan such as `00:05:00` or `1.00:00:00`; None when it is not one."""
    match = _TIMESPAN.match(text.strip())
    if match is None or int(match[2]) > 23 or int(match[3]) > 59 or int(match[4]) > 59:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds + float(f"0.{match[5] or 0}")


@dataclass(frozen=True)
class HostConfig:
    """The parts of host.json that this host obeys. `timeout_s` None: no limit."""

    route_prefix: str = "api"
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    max_outstanding_requests: int = -1
    poison_blob_threshold: int = 5
    max_degree_of_parallelism: int = 0
    has_extension_bundle: bool = False

    @classmethod
    def read(cls, app_root: Path) -> "HostConfig":
        """Read host.json. Raises: HostConfigError: it is missing, no JSON, or of another version than 2.0."""
        path = app_root / "host.json"
        try:
            document = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise HostConfigError(f"{path} does not exist; a Functions app needs it") from error
        except ValueError as error:
            raise HostConfigError(f"Unable to parse host configuration file '{path}': {error}") from error
        if not isinstance(document, dict) or document.get("version") != "2.0":
            raise HostConfigError(f"{path} is missing the required 'version' property, or it is not \"2.0\".")
        extensions = document.get("extensions") or {}
        http, blobs = extensions.get("http") or {}, extensions.get("blobs") or {}
        return cls(
            route_prefix=str(http.get("routePrefix", "api")).strip("/"),
            timeout_s=_timeout(document.get("functionTimeout")),
            max_outstanding_requests=int(http.get("maxOutstandingRequests", -1)),
            poison_blob_threshold=int(blobs.get("poisonBlobThreshold", 5)),
            max_degree_of_parallelism=int(blobs.get("maxDegreeOfParallelism", 0)),
            has_extension_bundle="extensionBundle" in document,
        )


def _timeout(value: Any) -> float | None:
    if value is None:
        return DEFAULT_TIMEOUT_S
    if value == "-1":
        return None
    seconds = timespan_s(str(value))
    if seconds is None or seconds < 1:
        raise HostConfigError(f"host.json: functionTimeout is {value!r}; expected hh:mm:ss of a second or more, or -1")
    return seconds
