"""What an Azure error means for a run: the one place that reads Azure's error bodies.

The bodies are not consistent (404 comes as NotFound and as UserError, a missing quota as BadRequest, throttling with
the inner code QuotaExceeded), so the HTTP status decides first, then the codes inside, and Azure's words last.
Sources: recorded answers of Azure ML; where its repositories' issues quote an answer, that is said at the words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from shared.errors import (
    AccessDeniedError,
    ConflictError,
    FinetuneError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
    TransientError,
)


class Kind(StrEnum):
    """What an answer means. Transient: ask again later; all others will be answered alike again."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    QUOTA = "quota"
    CONFLICT = "conflict"
    GONE = "gone"
    ACCESS = "access"


# Never worth a second attempt, although they are 5xx: what the server cannot do at all.
_NEVER_WORKS = frozenset({501, 505})
_THROTTLED = 429
_TRANSIENT_STATUS = frozenset({408, 409, 412, 423, 425, 429})
_QUOTA_CODES = frozenset({"quotaexceeded", "outofquota", "insufficientquota", "corequotaexceeded"})
_QUOTA_WORDS = re.compile(r"not enough quota|out ?of ?quota|quota ?exceeded|insufficient quota", re.I)
_TRANSIENT_CODES = frozenset(
    {
        "invalidblocklist",  # two workers wrote the same blob; the other one's commit threw this one's blocks away
        "anotheroperationinprogress",
        "operationinprogress",
        "conflictingconcurrentwritenotallowed",
        "retryableerror",
        "toomanyrequests",
        "expiredauthenticationtoken",  # a new one is fetched for the next request
    }
)
# Azure/azure-sdk-for-net issue 36961: answered although a look just before had said Succeeded.
_TRANSIENT_WORDS = re.compile(
    r"\bin (an? )?\"?(creating|updating|deleting|scaling|transition(ing|al)?)\"? (provisioning )?state"
    r"|another operation is (already )?in progress",
    re.I,
)
_CONFLICT_CODES = frozenset(
    {"alreadyexists", "resourcealreadyexists", "nameunavailable", "namealreadyexists", "immutable"}
)
# Endpoint: Azure/mlops-project-template issue 29, azure-sdk-for-python issue 35109; asset: azureml-assets issue 2919;
# environment: azure-cli-extensions issue 5440.
_CONFLICT_WORDS = re.compile(
    r"already exists|already an? \w+ with (this|the same) name|name (already|is) taken|(must|needs to) be unique"
    r"|already registered and cannot be changed|cannot be recreated|is immutable",
    re.I,
)
# A lock, a policy, a provider that is not registered: people have to change something first.
_PERMANENT_CODES = frozenset(
    {
        "scopelocked",
        "readonlydisabledsubscription",
        "missingsubscriptionregistration",
        "subscriptionnotregistered",
        "requestdisallowedbypolicy",
    }
)
_NOT_REALLY_ACCESS = re.compile(r"does not contain .+ as a region", re.I)
# The workspace itself is not found: that says nothing about what was looked for in it.
_PARENT_CODES = frozenset(
    {
        "subscriptionnotfound",
        "resourcegroupnotfound",
        "parentresourcenotfound",
        "workspacenotfound",
        "invalidsubscriptionid",
    }
)
_PARENT_WORDS = re.compile(r"workspaces/[^/'\"\s]+'? under resource group .+ was not found", re.I)
_DEEPER = 12
_RETRY_WORDS = re.compile(r"retry (?:again )?(?:after|in) (\d+) seconds?", re.I)
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


def kind_of(status: int | None, body: str, headers: Mapping[str, str] | None = None) -> Kind:
    """Return what an answer of Azure means.

    Args: status: None, or a success whose body is none of Azure's: something in between answered, or nobody.
    """
    if status is None or status < 400:
        return Kind.TRANSIENT
    if status >= 500:
        return Kind.PERMANENT if status in _NEVER_WORKS else Kind.TRANSIENT
    if status in (408, 425, 429):
        return Kind.TRANSIENT  # whatever it calls itself: recorded throttling says "QuotaExceeded"
    if _is_a_page(body, headers or {}):
        return Kind.TRANSIENT  # of a proxy or a firewall; Azure answers with JSON, or with nothing
    codes = _codes(body) | {str((headers or {}).get("x-ms-error-code", "")).lower()}
    if codes & _PERMANENT_CODES:
        return Kind.PERMANENT
    if codes & _QUOTA_CODES or _QUOTA_WORDS.search(body):
        return Kind.QUOTA
    if codes & _TRANSIENT_CODES or _TRANSIENT_WORDS.search(body):
        return Kind.TRANSIENT
    return _by_status(status, codes, body)


def _by_status(status: int, codes: set[str], body: str) -> Kind:
    if status in (401, 403):
        return Kind.PERMANENT if _NOT_REALLY_ACCESS.search(body) else Kind.ACCESS
    if status in (404, 410):
        return Kind.PERMANENT if codes & _PARENT_CODES or _PARENT_WORDS.search(body) else Kind.GONE
    if codes & _CONFLICT_CODES or _CONFLICT_WORDS.search(body):
        return Kind.CONFLICT
    # 409 without a known reason: another operation is under way and will end.
    return Kind.TRANSIENT if status in _TRANSIENT_STATUS else Kind.PERMANENT


def classify(fault: Any, what: str) -> FinetuneError:
    """Return the error of this app that an azure-core exception stands for."""
    body, headers = _body(fault), getattr(getattr(fault, "response", None), "headers", None) or {}
    said = getattr(fault, "message", None) or str(fault)
    text = f"{what}: {_shorten(said)}"
    kind = kind_of(getattr(fault, "status_code", None), body or said, headers)
    if kind == Kind.TRANSIENT:
        throttled = getattr(fault, "status_code", None) == _THROTTLED
        return TransientError(text, retry_after(headers, body or said), throttled=throttled)
    if kind == Kind.QUOTA:
        return QuotaError(f"{_quota_sentence(body) or text} Ask for more quota, or choose another VM size.")
    if kind == Kind.ACCESS:
        return AccessDeniedError(f"{text} The app's identity lacks a role, or was given it minutes ago.")
    if kind == Kind.GONE:
        return ResourceGoneError(text)
    return ConflictError(text) if kind == Kind.CONFLICT else RefusedByAzureError(text)


def retry_after(headers: Mapping[str, str], body: str = "") -> timedelta | None:
    """Return how long Azure asks to wait: a header in seconds, milliseconds or as a date; or in its words.

    A date is compared with the answer's own, so that a clock which goes wrong here does not matter.
    """
    found = {name.lower(): value.strip() for name, value in headers.items()}
    with suppress(ValueError, OverflowError):
        for name in ("retry-after-ms", "x-ms-retry-after-ms"):
            if name in found:
                return _span(float(found[name]) / 1000)
        if value := found.get("retry-after"):
            return _span(float(value)) if re.fullmatch(r"[\d.]+", value) else _until(value, found.get("date"))
        if words := _RETRY_WORDS.search(body):
            return _span(float(words[1]))
    return None


def _until(date: str, sent: str | None) -> timedelta | None:
    return _span((parsedate_to_datetime(date) - parsedate_to_datetime(sent)).total_seconds()) if sent else None


def _span(seconds: float) -> timedelta:
    return max(timedelta(), timedelta(seconds=seconds))


def _codes(body: str) -> set[str]:
    """Return every code in a body, in lower case: Azure ML nests them in details and in additional information."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {code.lower() for code in re.findall(r"<Code>(\w+)</Code>", body)}  # storage answers XML
    return set(_codes_in(value, _DEEPER))


def _codes_in(value: Any, deeper: int) -> Iterator[str]:
    if deeper == 0:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "code" and isinstance(inner, str):
                yield inner.lower()
            else:
                yield from _codes_in(inner, deeper - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _codes_in(inner, deeper - 1)


def _is_a_page(body: str, headers: Mapping[str, str]) -> bool:
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    return "html" in kind.lower() or body.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))


def _quota_sentence(body: str) -> str | None:
    """Return the sentence about the quota, which Azure wraps in JSON inside of JSON."""
    match = re.search(r"Not enough quota[^\"\\]+", body)
    return match[0].strip() if match else None


def _body(fault: Any) -> str:
    response = getattr(fault, "response", None)
    try:
        return str(response.text()) if response is not None else ""
    except Exception:  # noqa: BLE001 - a body that cannot be read says nothing; the status has decided already
        return ""


def _shorten(text: str) -> str:
    """Keep the beginning of the SDK's long texts, on one line and without its colours."""
    lines = [line.strip() for line in text.replace("\x1b[0m", "").splitlines() if line.strip()]
    joined = " ".join(lines[:4])
    return joined[:_MESSAGE_LENGTH] + ("…" if len(joined) > _MESSAGE_LENGTH else "")
