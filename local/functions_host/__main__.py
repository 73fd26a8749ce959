"""`python -m local.functions_host --port H --app-root DIR --state-dir STATE [--auth]`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from local.functions_host.host import Options, serve
from local.functions_host.indexing import AppLoadError
from local.functions_host.settings import HostConfigError
from local.lifeline import end_with_parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.functions_host", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument("--app-root", type=Path, default=Path(), help="folder of function_app.py and host.json")
    parser.add_argument("--state-dir", type=Path, default=Path(".local/state"))
    parser.add_argument("--auth", action="store_true", help="ask HTTP functions and /admin for their keys")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("azure", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # until the host runs, there is nothing to drain
    options = Options(arguments.port, arguments.app_root.resolve(), arguments.state_dir, arguments.auth)
    try:
        asyncio.run(serve(options))
    except (AppLoadError, HostConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
