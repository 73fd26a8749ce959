"""Event subscriptions: the events, the filter and the function that the code expects; retries and dead letters.

A subscription is either Bicep, or made by a hook after the code is there (the blob webhook's key exists only then).
What a hook sends is text, so that it is only looked for: each expected word must stand in the hook somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tools.infra.app import App
from tools.infra.complaint import Complaint, Where
from tools.infra.deployment import Deployment, Resource
from tools.infra.functions import unknown_function
from tools.infra.values import Value

KINDS = (
    "Microsoft.EventGrid/systemTopics/eventSubscriptions",
    "Microsoft.EventGrid/topics/eventSubscriptions",
    "Microsoft.EventGrid/eventSubscriptions",
)
BLOB_CREATED = frozenset({"Microsoft.Storage.BlobCreated"})
WHOLE_BLOBS = frozenset({"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose"})
"""The calls after which a blob is whole. Source: https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage:
an upload to a hierarchical namespace raises one event when the blob is made, empty, and FlushWithClose when it is
written."""
_WEBHOOK = re.compile(r"functionName=(?:Host\.Functions\.)?(\w+)")
_CREATES = re.compile(r"event-subscription\s+create|/eventSubscriptions/")
_FUNCTION = re.compile(r"/functions/(\w+)$")


def check(app: App, deployment: Deployment) -> Iterator[Complaint]:
    subscriptions = [one for kind in KINDS for one in deployment.of(kind)]
    targets = {one: _target(one) for one in subscriptions}
    blob = app.triggered_by("blobTrigger")[0].name
    job = app.triggered_by("eventGridTrigger")[0].name
    for one in subscriptions:
        yield from _whom(app, one, targets[one])
        if targets[one] == blob:
            yield from _blob_subscription(app, one)
        if targets[one] == job:
            yield from _same_words(one, ("filter", "includedEventTypes"), app.job_event_types, "event types")
        yield from _lasting(one)
    known = {function.name for function in app.functions}
    if any(target is not None and target not in known for target in targets.values()):
        return  # it may be the one that would be missed below
    if job not in targets.values():
        yield _nobody_calls(deployment, job, "job events")
    if blob not in targets.values():
        yield from _by_hook(app, deployment, blob)


def _target(subscription: Resource) -> str | None:
    """Return the function that a subscription's events go to, None when it goes elsewhere."""
    destination = _destination(subscription)
    texts = [text for one in destination for text in one.texts]
    matches = [found[1] for text in texts if (found := _FUNCTION.search(text) or _WEBHOOK.search(text))]
    return matches[0] if matches else None


def _destination(subscription: Resource) -> list[Value]:
    paths = [
        ("properties", *way, "properties", name)
        for way in (("destination",), ("deliveryWithResourceIdentity", "destination"))
        for name in ("resourceId", "endpointUrl")
    ]
    return [value for path in paths if (value := subscription.at(*path)) is not None]


def _whom(app: App, one: Resource, target: str | None) -> Iterator[Complaint]:
    known = {function.name for function in app.functions}
    destination = _destination(one)
    where = destination[0].where if destination else one.where
    if target is not None and target not in known:
        yield unknown_function(where.file, where.line, target, known)


def _blob_subscription(app: App, one: Resource) -> Iterator[Complaint]:
    yield from _same_words(one, ("filter", "includedEventTypes"), BLOB_CREATED, "event types")
    expected = f"/blobServices/default/containers/{app.watched_container}/"
    prefix = one.at("properties", "filter", "subjectBeginsWith")
    texts = prefix.texts if prefix is not None else []
    if not texts or not all(text.startswith(expected) for text in texts):
        what = f"{one.symbol} takes events of {' or '.join(map(repr, texts)) or 'every container'}"
        where = prefix.where if prefix is not None else one.where
        yield Complaint(where, what, f"subjectBeginsWith {expected!r}", "Set it, with its slash at the end")
    filters = one.at("properties", "filter", "advancedFilters")
    of_api = [f for f in (filters.items if filters else []) if (key := f.at("key")) and "data.api" in key.texts]
    words = {text for f in of_api for text in _words(f.at("values"))}
    if words != WHOLE_BLOBS:
        where = of_api[0].where if of_api else one.where
        what = f"{one.symbol} takes blobs after {_listed(words) or 'any call'}"
        expected = f"an advanced filter on data.api with {_listed(WHOLE_BLOBS)}: half-written blobs must not fire"
        yield Complaint(where, what, expected, "Set it")


def _same_words(one: Resource, path: tuple[str, ...], expected: frozenset[str], what: str) -> Iterator[Complaint]:
    value = one.at("properties", *path)
    words = set(_words(value))
    if words != expected:
        said = f"{one.symbol} takes the {what} {_listed(words) or '(all)'}"
        where = value.where if value is not None else one.where
        yield Complaint(where, said, _listed(expected), "Name exactly those that the code reads")


def _words(value: Value | None) -> list[str]:
    return [text for item in (value.items if value is not None else []) for text in item.texts]


def _listed(words: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(words))


def _lasting(one: Resource) -> Iterator[Complaint]:
    """Every subscription retries, and keeps what could not be delivered."""
    if one.at("properties", "retryPolicy") is None:
        expected = "a retryPolicy with maxDeliveryAttempts and eventTimeToLiveInMinutes"
        yield Complaint(one.where, f"{one.symbol} does not say how often it tries again", expected, "Add it")
    letters = one.at("properties", "deadLetterWithResourceIdentity") or one.at("properties", "deadLetterDestination")
    if letters is None:
        expected = "a dead-letter destination: the container `deadletter`"
        yield Complaint(one.where, f"{one.symbol} loses what it cannot deliver", expected, "Add it")
        return
    inner = letters.at("deadLetterDestination") or letters
    container = inner.at("properties", "blobContainerName")
    if container is None or container.texts != ["deadletter"]:
        what = f"{one.symbol} leaves dead letters in {container.texts if container else 'no container'}"
        yield Complaint(letters.where, what, "the container 'deadletter'", "Set blobContainerName")


def _nobody_calls(deployment: Deployment, name: str, what: str) -> Complaint:
    where = next((one.where for one in deployment.of("Microsoft.EventGrid/systemTopics")), Where("infra/main.bicep", 1))
    return Complaint(where, f"no event subscription leads to {name}", f"one that brings it {what}", "Add it")


def _by_hook(app: App, deployment: Deployment, blob: str) -> Iterator[Complaint]:
    """Look for the blob subscription in the hooks, where nothing of Bicep makes it."""
    expected = _expected_of_hook(app, blob)
    hooks = [path for path in sorted(deployment.folder.rglob("*")) if _is_hook(deployment.folder, path)]
    making = [path for path in hooks if _CREATES.search(path.read_text("utf-8"))]
    if not making:
        yield _nobody_calls(deployment, blob, "uploads, in Bicep or in a hook")
    for path in making:
        text = path.read_text("utf-8")
        for word, reason in expected.items():
            if word not in text:
                where = Where(path.relative_to(deployment.folder).as_posix(), 1)
                yield Complaint(where, f"{word!r} does not stand in this hook", reason, "Add it to the subscription")


def _expected_of_hook(app: App, blob: str) -> dict[str, str]:
    prefix = f"/blobServices/default/containers/{app.watched_container}/"
    return {
        f"Host.Functions.{blob}": "the function that the webhook's address names",
        prefix: "the subject's prefix, so that only uploads of datasets call the app",
        "data.api": "an advanced filter, because half-written blobs must not fire",
        **dict.fromkeys([*sorted(BLOB_CREATED), *sorted(WHOLE_BLOBS)], "what the subscription's filter lets through"),
        "deadletter": "where undelivered events are kept",
    }


def _is_hook(folder: Path, path: Path) -> bool:
    within = path.relative_to(folder).parts[0] in ("infra", "hooks", "scripts")
    return path.is_file() and path.suffix in (".sh", ".ps1") and within
