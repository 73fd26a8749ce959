"""Index an app with Microsoft's real Python worker (azure-functions-runtime, Python 3.13), without a host.

`python3.13 -m local.functions_host.index_check APP_ROOT` prints one line per function; exit 1 when the worker refuses
the app, and when it finds no function at all, which the worker itself takes for success.
Needs no other module of this package: its virtual environment holds the app's packages and the worker only.
"""

import argparse
import asyncio
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class _Message(SimpleNamespace):
    """Stands for any protobuf message: a bag of what it was made with."""


class _Status(_Message):
    Success, Failure = "Success", "Failure"


class _Protos:
    """The flat namespace of message types that the worker is handed; it uses about twenty names of it."""

    StatusResult = _Status
    BindingInfo = type("BindingInfo", (_Message,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})

    def __getattr__(self, name: str) -> type:
        return type(name, (_Message,), {})


def _request(app_root: Path, protos: _Protos) -> Any:
    init = _Message(capabilities={}, function_app_directory=str(app_root), host_version="4")
    return _Message(request=_Message(worker_init_request=init), properties={"host": "127.0.0.1", "protos": protos})


async def index(app_root: Path) -> list[Any]:
    """Return the worker's metadata of every function.

    Raises: RuntimeError: the worker's own message of why it refuses the app.
    """
    worker = importlib.import_module("azure_functions_runtime.handle_event")
    request = _request(app_root, _Protos())
    answer = await worker.worker_init_request(request)
    if answer.result.status != _Status.Success:
        raise RuntimeError(answer.result.exception.message)
    metadata = await worker.functions_metadata_request(request)
    return list(metadata.function_metadata_results or [])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3.13 -m local.functions_host.index_check", description=__doc__)
    parser.add_argument("app_root", type=Path)
    app_root = parser.parse_args().app_root.resolve()
    sys.path.insert(0, str(app_root))
    try:
        functions = asyncio.run(index(app_root))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for function in functions:
        print(f"{function.name}: {', '.join(_describe(json.loads(text)) for text in function.raw_bindings)}")
    if not functions:
        print(f"error: the worker found no function in {app_root}", file=sys.stderr)
    return 0 if functions else 1


def _describe(binding: dict[str, Any]) -> str:
    is_deferred = (binding.get("properties") or {}).get("SupportsDeferredBinding")
    return f"{binding['type']} {binding['name']}" + (" (by reference)" if is_deferred else "")


if __name__ == "__main__":
    sys.exit(main())
