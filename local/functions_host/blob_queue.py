"""The queue between the blob webhook and the blob functions, kept in AzureWebJobsStorage as the real host does.

A message stays invisible while its function runs (a lease, renewed), is deleted on success, comes back at once
on failure, and goes to the poison queue of the data account at the fifth failure.
"""

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage

from local.functions_host import blob_trigger
from local.functions_host.blob_trigger import FUNCTION_ID_PREFIX, BlobEventError, BlobMessage
from local.functions_host.host_rules import HOST_STORAGE
from local.functions_host.invocation import Engine
from local.functions_host.model import Function
from local.functions_host.settings import HostConfig, resolve
from local.functions_host.storage import Connections

log = logging.getLogger("host")

POISON_QUEUE = "webjobs-blobtrigger-poison"
# The real lease is ten minutes. A local host is killed and restarted all the time, and its messages wait for the end.
LEASE_S = 15
_IDLE_S = 2.0


class BlobQueue:
    """Adds messages and works them off. `run` is the pump; it ends after `stop`."""

    def __init__(
        self,
        host_id: str,
        functions: Mapping[str, Function],
        engine: Engine,
        connections: Connections,
        config: HostConfig,
        environ: Mapping[str, str],
    ) -> None:
        self._name = f"azure-webjobs-blobtrigger-{host_id}"
        self._functions = functions
        self._engine = engine
        self._connections = connections
        self._threshold = config.poison_blob_threshold
        self._limit = config.max_degree_of_parallelism or 8 * (os.cpu_count() or 1)
        self._patterns = {name: resolve(str(one.trigger["path"]), environ) for name, one in functions.items()}
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: set[asyncio.Task[None]] = set()

    async def add(self, message: BlobMessage) -> None:
        """Put one message into the queue. Raises: AzureError: the storage does not take it."""
        await asyncio.to_thread(self._send, message)
        self._wake.set()

    def stop(self) -> None:
        """Take no further message; those under way end by themselves."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        while not self._stopping:
            try:
                messages = await asyncio.to_thread(self._receive)
            except AzureError as error:
                log.error("the blob trigger queue cannot be read, trying again: %s", error)
                messages = []
            for message in messages:
                task = asyncio.create_task(self._process(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await self._pause(bool(messages))
        if self._running:
            await asyncio.wait(self._running)

    async def _pause(self, was_busy: bool) -> None:
        # More is fetched when half of the places are free, so that one slow function does not hold up the others.
        while len(self._running) > self._limit // 2:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        if not was_busy:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _IDLE_S)
            self._wake.clear()

    async def _process(self, message: QueueMessage) -> None:
        renewal = asyncio.create_task(self._renew(message))
        try:
            succeeded = await self._execute(message)
        except AzureError as error:
            log.error("blob trigger: the storage failed: %s", error)
            succeeded = False
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal
        try:
            await asyncio.to_thread(self._settle, message, succeeded)
        except AzureError as error:
            log.error("blob trigger: the message could not be settled and will come back: %s", error)
        self._wake.set()  # after a failure it is visible again at once

    async def _execute(self, queued: QueueMessage) -> bool:
        try:
            message = BlobMessage.parse(queued.content)
        except BlobEventError as error:
            log.error("blob trigger: dropped a message: %s", error)
            return True
        function = self._functions.get(message.function_id.removeprefix(FUNCTION_ID_PREFIX))
        if function is None:
            log.warning("blob trigger: no function %s, dropped %s", message.function_id, message.path)
            return True
        if (queued.dequeue_count or 1) > self._threshold:
            return False  # its host was killed while running it for the last time
        pattern = self._patterns[function.name]
        call = await asyncio.to_thread(blob_trigger.call, function, message, pattern, self._connections)
        if call is None:
            log.info("%s: %s is gone, nothing to do", function.name, message.path)
            return True
        return (await self._engine.invoke(call)).ok

    async def _renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                # Shielded: cancelling between request and answer would lose the new receipt.
                await asyncio.shield(asyncio.to_thread(self._extend, message, LEASE_S))
            except AzureError as error:
                log.warning("blob trigger: the lease of a message could not be renewed: %s", error)

    # What follows blocks and runs in threads.

    def _queue(self, connection: str, name: str) -> QueueClient:
        client = self._connections.queues(connection).get_queue_client(name)
        with suppress(ResourceExistsError):
            client.create_queue()
        return client

    def _send(self, message: BlobMessage) -> None:
        client = self._connections.queues(HOST_STORAGE).get_queue_client(self._name)
        try:
            client.send_message(message.content())
        except ResourceNotFoundError:
            self._queue(HOST_STORAGE, self._name).send_message(message.content())

    def _receive(self) -> list[QueueMessage]:
        count = min(32, self._limit // 2 + 1)
        client = self._connections.queues(HOST_STORAGE).get_queue_client(self._name)
        try:
            return list(client.receive_messages(max_messages=count, visibility_timeout=LEASE_S))
        except ResourceNotFoundError:
            self._queue(HOST_STORAGE, self._name)
            return []

    def _extend(self, message: QueueMessage, seconds: int) -> None:
        client = self._connections.queues(HOST_STORAGE).get_queue_client(self._name)
        updated = client.update_message(message, visibility_timeout=seconds)
        message.pop_receipt = updated.pop_receipt

    def _settle(self, message: QueueMessage, succeeded: bool) -> None:
        if not succeeded and (message.dequeue_count or 1) < self._threshold:
            self._extend(message, 0)
            return
        if not succeeded:
            self._poison(message)
        client = self._connections.queues(HOST_STORAGE).get_queue_client(self._name)
        client.delete_message(message)

    def _poison(self, message: QueueMessage) -> None:
        connection = self._data_connection(message)
        log.error("blob trigger: a message failed %s times and is moved to %s", message.dequeue_count, POISON_QUEUE)
        self._queue(connection, POISON_QUEUE).send_message(message.content)

    def _data_connection(self, queued: QueueMessage) -> str:
        message: Any = BlobMessage.parse(queued.content)
        function = self._functions.get(message.function_id.removeprefix(FUNCTION_ID_PREFIX))
        return blob_trigger.connection(function) if function else HOST_STORAGE
