"""The life of one host: load the app, listen, run queue and timers, drain, end."""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from local import http_server, lock
from local.clock import clock_of
from local.faults.host import NAME as HOST_PID
from local.functions_host import host_rules, indexing
from local.functions_host.blob_queue import BlobQueue
from local.functions_host.gateway import Gateway
from local.functions_host.host_rules import HOST_STORAGE
from local.functions_host.invocation import Engine
from local.functions_host.keys import load
from local.functions_host.model import BLOB_TRIGGER, TIMER_TRIGGER, Function
from local.functions_host.schedules import Schedule
from local.functions_host.server import application
from local.functions_host.settings import HostConfig, resolve
from local.functions_host.storage import Connections
from local.functions_host.timer_status import TimerStore
from local.functions_host.timers import Timer
from local.functions_host.wall_clock import LOOK_EVERY_S, WallClock

log = logging.getLogger("host")

DRAIN_S = 10
_LIFETIME = contextlib.ExitStack()


@dataclass(frozen=True)
class Options:
    port: int
    app_root: Path
    state_dir: Path
    needs_keys: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    script: str = indexing.SCRIPT


def host_id(options: Options) -> str:
    """Return the id that names this host's queue and blobs: stable per state directory."""
    given = options.environ.get("AzureFunctionsWebHost__hostid")
    return given or f"local-{hashlib.sha256(str(options.state_dir.resolve()).encode()).hexdigest()[:16]}"


def load_app(options: Options, config: HostConfig) -> list[Function]:
    """Index the app and add the host's own objections.

    Raises: AppLoadError: the worker would refuse the app, or the host every one of its functions.
    """
    functions = indexing.index(options.app_root.resolve(), options.script)
    functions = [one for one in functions if not _is_disabled(one, options.environ)]
    host_rules.check(functions, config, options.environ)
    for function in functions:
        if function.retry and function.kind != TIMER_TRIGGER:
            log.warning("The retry policy of '%s' is not used: its trigger does not support one.", function.name)
        for error in function.errors:
            log.error("The '%s' function is in error: %s", function.name, error)
    if all(function.errors for function in functions):
        raise indexing.AppLoadError("No function can run: every one is disabled or in error.")
    return functions


def _is_disabled(function: Function, environ: Mapping[str, str]) -> bool:
    names = (f"AzureWebJobs.{function.name}.Disabled", f"AzureWebJobs__{function.name}__Disabled")
    return any(environ.get(name, "").lower() in ("1", "true") for name in names)


class Host:
    """One host over one app. `run` returns after `stop` was called and what was under way has ended."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._wall_clock = WallClock(clock_of(options.state_dir))
        self._wall_clock.follow()  # before the app is loaded: it may read the time then
        config = HostConfig.read(options.app_root)
        self.functions = load_app(options, config)
        self.engine = Engine(config.timeout_s)
        connections, identity = Connections(options.environ), host_id(options)
        usable = [one for one in self.functions if not one.errors]
        blobs = {one.name: one for one in usable if one.kind == BLOB_TRIGGER}
        queue = BlobQueue(identity, blobs, self.engine, connections, config, options.environ)
        timers = [self._timer(one, connections, identity) for one in usable if one.kind == TIMER_TRIGGER]
        keys = load(options.state_dir)
        self.gateway = Gateway(identity, self.functions, config, keys, self.engine, queue, options.needs_keys)
        self._listeners: list[BlobQueue | Timer] = [*([queue] if blobs else []), *timers]
        self._timers = timers
        self.gateway.on_drain = [listener.stop for listener in self._listeners]
        self._stop = asyncio.Event()

    def _timer(self, function: Function, connections: Connections, identity: str) -> Timer:
        schedule = Schedule.parse(resolve(str(function.trigger["schedule"]), self.options.environ))
        store = TimerStore(lambda: connections.blobs(HOST_STORAGE), identity, function.name)
        return Timer(function, schedule, self.engine, store)

    def stop(self) -> None:
        self._stop.set()

    async def run(self, ready: Callable[[int], None]) -> None:
        """Serve until stopped. `ready` is called with the port once it answers."""
        # Storage calls wait in these threads; with the default's handful, a slow one would hold up the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="host"))
        with http_server.listen(self.options.port) as listener:
            server = http_server.Server(uvicorn.Config(application(self.gateway), log_level="warning", lifespan="off"))
            following = asyncio.create_task(self._follow_clock())
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            listening = [asyncio.create_task(one.run()) for one in self._listeners]
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready(listener.getsockname()[1])
            await self._stop.wait()
            await self._drain(listening)
            server.should_exit = server.force_exit = True
            following.cancel()
            await serving

    async def _follow_clock(self) -> None:
        while True:
            if await asyncio.to_thread(self._wall_clock.follow):
                log.info("the clock was moved forward: it is now %s", datetime.now(UTC).isoformat(timespec="seconds"))
                for timer in self._timers:
                    timer.clock_moved()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _drain(self, listening: list["asyncio.Task[None]"]) -> None:
        self.gateway.drain()
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        if listening:
            await asyncio.wait(listening, timeout=DRAIN_S)
        while self.engine.active and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        if self.engine.active:
            log.warning("stopped with %d invocations still running", self.engine.active)


async def serve(options: Options) -> None:
    """Run a host until SIGTERM or SIGINT; ends the process."""
    host = Host(options)
    _say_who(options.state_dir)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, host.stop)
    await host.run(lambda port: log.info("host listens on http://127.0.0.1:%d with %s", port, _listing(host)))
    _end()


def _say_who(state_dir: Path) -> None:
    """Keep this process's id where faults find it, for as long as the process lives."""
    with contextlib.suppress(lock.AlreadyRunningError):  # a second host with the same directory: the first is found
        _LIFETIME.enter_context(lock.hold(state_dir, HOST_PID))


def _listing(host: Host) -> str:
    return ", ".join(f"{one.name} ({one.kind})" for one in host.functions if not one.errors)


def _end() -> None:
    """End the process now: a function that outlived the drain must not keep it alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
