"""`python -m local.azureml`: run the emulator until it is told to stop."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from local import tls
from local.azureml.server import Emulator
from local.azureml.services import Config
from local.lifeline import end_with_parent


def arguments(argv: list[str]) -> Config:
    parser = argparse.ArgumentParser(prog="python -m local.azureml", description="An emulator of Azure ML.")
    parser.add_argument("--port", type=int, required=True, help="TLS: everything but the identity")
    parser.add_argument("--identity-port", type=int, required=True, help="plain http: /msi/token")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--cache-dir", type=Path, required=True, help="the base models")
    parser.add_argument("--storage", required=True, help="connection string of the blob storage")
    parser.add_argument("--engine", choices=("fast", "lora", "simulated"), default="lora")
    parser.add_argument("--ml-python", type=Path, required=True, help="the interpreter of jobs and deployments")
    parser.add_argument("--eventgrid", default=None, help="base URL of Event Grid; without it no event is sent")
    parser.add_argument(
        "--speed", type=float, default=45.0, help="divides Azure's own delays: at 45 an endpoint takes 2 s"
    )
    parser.add_argument(
        "--metrics-lag",
        type=float,
        default=0,
        metavar="SECONDS",
        help="show a minute's metrics so long after its end, as Azure Monitor does; at 0 a request shows at once",
    )
    given = parser.parse_args(argv)
    if given.speed <= 0:
        parser.error("--speed must be greater than 0")
    if given.metrics_lag < 0:
        parser.error("--metrics-lag must not be negative")
    state_dir = given.state_dir.resolve()
    return Config(
        port=given.port,
        identity_port=given.identity_port,
        state_dir=state_dir,
        cache_dir=given.cache_dir.resolve(),
        storage=given.storage,
        engine=given.engine,
        # Not resolved: the interpreter of a virtual environment is a link, and the link is what makes it one.
        ml_python=given.ml_python.absolute(),
        eventgrid=given.eventgrid,
        speed=given.speed,
        tls=tls.ensure(state_dir / "tls"),
        metrics_lag_s=given.metrics_lag,
    )


def main(argv: list[str]) -> int:
    end_with_parent()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("local").setLevel(logging.INFO)
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    config = arguments(argv)
    emulator = Emulator(config)
    try:
        emulator.start()
    except OSError as error:
        print(f"azure ml emulator: {error}", file=sys.stderr)
        return 1
    print(f"azure ml emulator: {config.base_url}, identity on port {config.identity_port}", flush=True)
    stopping.wait()
    emulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
