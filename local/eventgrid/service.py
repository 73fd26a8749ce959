"""The life of the service: couriers, watcher and server, started and stopped together."""

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import uvicorn
from azure.storage.blob import BlobServiceClient

from local import http_server, tls
from local.clock import clock_of
from local.eventgrid import subscriber
from local.eventgrid.broker import Broker, EventLog
from local.eventgrid.config import Config
from local.eventgrid.delivery import Courier
from local.eventgrid.mishaps import Mishaps
from local.eventgrid.server import application
from local.eventgrid.store import Store
from local.eventgrid.watcher import Watcher
from local.faults.layer import FaultLayer

log = logging.getLogger("eventgrid")


@dataclass(frozen=True)
class Options:
    port: int
    state_dir: Path
    storage: str
    config: Config


class Service:
    """One Event Grid. `run` returns after `stop` was called.

    Args: now: instead of the clock of the state directory.
    """

    def __init__(self, options: Options, now: Callable[[], datetime] | None = None) -> None:
        now = now or clock_of(options.state_dir).now
        self._options, self._now = options, now
        folder, config = options.state_dir / "eventgrid", options.config
        self._store = Store(folder / "eventgrid.sqlite")
        storage = BlobServiceClient.from_connection_string(options.storage, retry_total=0)
        self._couriers = {
            one.name: Courier(one, self._store, storage, now, config.retry_schedule_s) for one in config.subscriptions
        }
        log_file = EventLog(folder / "events.jsonl")
        mishaps = Mishaps(options.state_dir)
        self._broker = Broker(config.subscriptions, self._store, log_file, now, self._wake, mishaps)
        self._watcher = Watcher(config.watch, storage, self._store, self._broker)
        self._stop = asyncio.Event()

    def _wake(self, subscriptions: set[str]) -> None:
        for name in subscriptions:
            self._couriers[name].wake()

    def stop(self) -> None:
        self._stop.set()

    def describe(self) -> dict[str, object]:
        pending = self._store.pending()
        subscriptions = [
            {
                "name": name,
                "state": "Succeeded" if one.is_validated else "AwaitingHandshake",
                "pending": pending.get(name, 0),
            }
            for name, one in self._couriers.items()
        ]
        return {"status": "ok", "now": self._now().isoformat(), "subscriptions": subscriptions}

    def _application(self) -> FaultLayer:
        state_dir = self._options.state_dir
        app = application(self._broker, self.describe, subscriber.routes(state_dir, self._now))
        return FaultLayer(app, state_dir, self._now, lambda _: "events")

    async def run(self, ready: Callable[[int], None]) -> None:
        """Serve until stopped. `ready` is called with the port once it answers."""
        files = tls.ensure(self._options.state_dir / "tls")
        config = uvicorn.Config(
            self._application(),
            log_level="warning",
            lifespan="off",
            ssl_certfile=str(files.cert),
            ssl_keyfile=str(files.key),
        )
        with http_server.listen(self._options.port) as listener:
            server = http_server.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            for courier in self._couriers.values():
                courier.start()
            self._watcher.start()
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready(listener.getsockname()[1])
            await self._stop.wait()
            server.should_exit = True
            await asyncio.to_thread(self._stop_parts)
            server.force_exit = True
            await serving

    def _stop_parts(self) -> None:
        self._watcher.stop()
        for courier in self._couriers.values():
            courier.stop()


async def serve(options: Options) -> None:
    """Run the service until SIGTERM or SIGINT."""
    service = Service(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service.stop)
    names = ", ".join(one.name for one in options.config.subscriptions) or "no subscription"
    await service.run(lambda port: log.info("event grid listens on https://127.0.0.1:%d with %s", port, names))
