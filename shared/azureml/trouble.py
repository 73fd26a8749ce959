"""What an Azure error means for a run: the one place that reads Azure's error bodies.

The bodies are not consistent (404 comes as NotFound and as UserError, a missing quota as BadRequest), so the HTTP
status decides first, then the inner codes. Source: recorded answers of Azure ML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from shared.errors import (
    AccessDeniedError,
    FinetuneError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
    TransientError,
)

_TRANSIENT_STATUS = frozenset({408, 409, 423, 429, 500, 502, 503, 504})
# 409: "in Updating provisioning state" and the like; another operation is under way and will end.
_QUOTA_WORDS = ("not enough quota", "outofquota", "quotaexceeded", "insufficient quota")
_MESSAGE_LENGTH = 600


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Translate Azure's exceptions inside a `with` block into this app's.

    Args: what: the action for the message, such as "creating endpoint bot-1a2b3c4d".
    """
    from azure.core.exceptions import AzureError

    try:
        yield
    except FinetuneError:
        raise
    except AzureError as fault:
        # azure.ai.ml refuses bad values on this side of the wire, with AzureErrors of its own.
        if type(fault).__module__.startswith("azure.ai.ml"):
            raise RefusedByAzureError(f"{what}: {_shorten(str(fault))}") from fault
        raise classify(fault, what) from fault
    except OSError as fault:  # requests' own connection errors are OSErrors
        raise TransientError(f"{what}: Azure could not be reached ({type(fault).__name__})") from fault


def classify(fault: Any, what: str) -> FinetuneError:
    """Return the error of this app that an azure-core exception stands for."""
    status = getattr(fault, "status_code", None)
    text = f"{what}: {_shorten(getattr(fault, 'message', None) or str(fault))}"
    if status is None or status < 400:
        # No answer at all (refused, reset, timed out, no token to be had just now), or one that is not Azure's: a 200
        # whose body is not JSON comes from something in between.
        return TransientError(text)
    if _names_quota(fault) and status != 429:
        return QuotaError(f"{_quota_sentence(fault) or text} Ask for more quota, or choose another VM size.")
    if "InvalidBlockList" in _body(fault):
        # Two workers wrote the same blob; the other one's commit threw this one's blocks away.
        return TransientError(text)
    if status in _TRANSIENT_STATUS:
        return TransientError(text, _retry_after(fault))
    if status in (401, 403):
        return AccessDeniedError(f"{text} The app's identity lacks a role, or was given it minutes ago.")
    if status in (404, 410):
        return ResourceGoneError(text)
    return RefusedByAzureError(text)


def _names_quota(fault: Any) -> bool:
    body = str(getattr(fault, "message", "")) + _body(fault)
    return any(word in body.lower() for word in _QUOTA_WORDS)


def _quota_sentence(fault: Any) -> str | None:
    """Return the sentence about the quota, which Azure wraps in JSON inside of JSON."""
    match = re.search(r"Not enough quota[^\"\\]+", _body(fault))
    return match[0].strip() if match else None


def _body(fault: Any) -> str:
    response = getattr(fault, "response", None)
    try:
        return str(response.text()) if response is not None else ""
    except Exception:  # noqa: BLE001 - a body that cannot be read says nothing; the status has decided already
        return ""


def _retry_after(fault: Any) -> timedelta | None:
    headers = getattr(getattr(fault, "response", None), "headers", {})
    value = headers.get("Retry-After", "")
    return timedelta(seconds=int(value)) if value.isdigit() else None


def _shorten(text: str) -> str:
    """Keep the beginning of the SDK's long texts, on one line and without its colours."""
    lines = [line.strip() for line in text.replace("\x1b[0m", "").splitlines() if line.strip()]
    joined = " ".join(lines[:4])
    return joined[:_MESSAGE_LENGTH] + ("…" if len(joined) > _MESSAGE_LENGTH else "")
