"""Bring events to one subscriber: handshake first, then one request per event, retried as Event Grid retries."""

import dataclasses
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import requests
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from local.eventgrid import dead_letters
from local.eventgrid.broker import topic_id
from local.eventgrid.config import CLOUD_EVENT_SCHEMA, Subscription
from local.eventgrid.events import in_schema, is_cloud_event
from local.eventgrid.retries import Attempt, DeadLetter, Delivered, decide, is_expired
from local.eventgrid.store import Delivery, Store

log = logging.getLogger("eventgrid")

ANSWER_WITHIN_S = 30
_AT_ONCE = 8
_LOOK_EVERY_S = 0.5
_HANDSHAKE_EVERY_S = 1
_DEAD_LETTER_AGAIN = timedelta(seconds=30)
_DEAD_LETTER_GIVE_UP = timedelta(hours=4)
_ORIGIN = "eventgrid.azure.net"


class Courier:
    """Delivers to one subscription with threads of its own, so that a slow subscriber delays only itself."""

    def __init__(
        self,
        subscription: Subscription,
        store: Store,
        storage: BlobServiceClient,
        now: Callable[[], datetime],
        schedule_s: tuple[float, ...] | None = None,
    ) -> None:
        self.subscription = subscription
        self.is_validated = False
        self._store = store
        self._storage = storage
        self._now = now
        self._schedule_s = schedule_s
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._under_way: set[int] = set()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=subscription.name)
        self._thread = threading.Thread(target=self._run, name=f"courier-{subscription.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """End. A request under way may still be answered; what is not settled is delivered after the next start."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self.is_validated:
                self.is_validated = shake_hands(self.subscription)
                if not self.is_validated:
                    self._stopping.wait(_HANDSHAKE_EVERY_S)
                    continue
                log.info("subscription %s is validated", self.subscription.name)
            try:
                self._submit()
            except sqlite3.Error:
                log.exception("%s: the pending deliveries cannot be read, trying again", self.subscription.name)
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()

    def _submit(self) -> None:
        free = _AT_ONCE - len(self._under_way)
        for delivery in self._store.due(self.subscription.name, self._now(), free, tuple(self._under_way)):
            self._under_way.add(delivery.id)
            self._pool.submit(self._deliver, delivery)

    def _deliver(self, delivery: Delivery) -> None:
        try:
            if delivery.dead_reason:
                self._bury(delivery, delivery.dead_reason)
            elif is_expired(self.subscription, delivery.published, self._now()):
                self._bury(delivery, "TimeToLiveExceeded")
            else:
                self._attempt(delivery)
        except Exception:
            log.exception("delivery %d to %s", delivery.id, self.subscription.name)
            self._store.postpone(delivery, self._now() + _DEAD_LETTER_AGAIN)
        finally:
            self._under_way.discard(delivery.id)
            self._wake.set()

    def _attempt(self, delivery: Delivery) -> None:
        status = post(self.subscription, delivery)
        attempt = Attempt(delivery.attempts + 1, status, self._now())
        tried = dataclasses.replace(
            delivery,
            attempts=attempt.number,
            last_attempt=attempt.at,
            last_outcome=attempt.outcome,
            last_status=status,
        )
        decision = decide(attempt, self.subscription, delivery.published, self._schedule_s)
        if isinstance(decision, Delivered):
            self._store.remove(tried)
        elif isinstance(decision, DeadLetter):
            self._bury(tried, decision.reason)
        else:
            self._store.postpone(tried, decision.at)
            log.warning("%s: attempt %d: %s", self.subscription.name, attempt.number, attempt.outcome)

    def _bury(self, delivery: Delivery, reason: str) -> None:
        name, now = self.subscription.name, self._now()
        if self.subscription.dead_letter_container is None:
            log.error("%s: dropped event %s: %s", name, delivery.event["id"], reason)
            self._store.remove(delivery)
            return
        try:
            content = dead_letters.document(self.subscription, delivery, reason)
            dead_letters.write(self._storage, self.subscription, content, now)
        except AzureError as error:
            log.error("%s: the dead letter of event %s cannot be written: %s", name, delivery.event["id"], error)
            if now - (delivery.last_attempt or now) < _DEAD_LETTER_GIVE_UP:
                waiting = dataclasses.replace(delivery, dead_reason=reason)
                self._store.postpone(waiting, now + _DEAD_LETTER_AGAIN)
                return
        log.error("%s: event %s is a dead letter: %s", name, delivery.event["id"], reason)
        self._store.remove(delivery)


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy between two servers of this machine
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
    return session


def post(subscription: Subscription, delivery: Delivery) -> int | None:
    """Send one event; return the answer's status, None when there was none within the time."""
    event = in_schema(delivery.event, subscription.schema)
    headers = {
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(delivery.attempts),
        "aeg-event-type": "Notification",
        "aeg-metadata-version": "1",
    }
    if is_cloud_event(event):
        body, headers["content-type"] = json.dumps(event), "application/cloudevents+json; charset=utf-8"
    else:
        body, headers["content-type"] = json.dumps([event]), "application/json; charset=utf-8"
        headers["aeg-data-version"] = str(event.get("dataVersion", ""))
    with _session() as session:
        try:
            sent = session.post(subscription.endpoint, body.encode(), headers=headers, timeout=ANSWER_WITHIN_S)
        except requests.RequestException:
            return None
    return sent.status_code


def shake_hands(subscription: Subscription) -> bool:
    """Ask the endpoint whether it wants the events, in the way of the subscription's schema."""
    with _session() as session:
        try:
            if subscription.schema == CLOUD_EVENT_SCHEMA:
                return _ask_for_cloud_events(session, subscription)
            return _validate(session, subscription)
        except (requests.RequestException, ValueError, AttributeError):
            return False


def _ask_for_cloud_events(session: requests.Session, subscription: Subscription) -> bool:
    answer = session.options(
        subscription.endpoint, headers={"webhook-request-origin": _ORIGIN}, timeout=ANSWER_WITHIN_S
    )
    return answer.status_code == 200 and answer.headers.get("webhook-allowed-origin") in (_ORIGIN, "*")


def _validate(session: requests.Session, subscription: Subscription) -> bool:
    code = str(uuid.uuid4())
    event: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "topic": topic_id(subscription.topic),
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2018-01-25T22:12:19.4556811Z",
        "data": {"validationCode": code},
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    headers = {"aeg-event-type": "SubscriptionValidation", "aeg-subscription-name": subscription.name.upper()}
    answer = session.post(subscription.endpoint, json=[event], headers=headers, timeout=ANSWER_WITHIN_S)
    return answer.status_code == 200 and answer.json().get("validationResponse") == code
