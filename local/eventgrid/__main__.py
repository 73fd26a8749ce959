"""`python -m local.eventgrid --port R --state-dir STATE --storage CONNECTION_STRING --config FILE`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from local.eventgrid.config import Config, ConfigError
from local.eventgrid.service import Options, serve
from local.lifeline import end_with_parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.eventgrid", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument("--state-dir", type=Path, default=Path(".local/state"))
    parser.add_argument("--storage", required=True, help="connection string of the watched account")
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("azure", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # until the service runs, there is nothing to stop in order
    try:
        config = Config.read(arguments.config)
        asyncio.run(serve(Options(arguments.port, arguments.state_dir, arguments.storage, config)))
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)  # a subscriber that still has 25 seconds to answer must not keep us


if __name__ == "__main__":
    sys.exit(main())
