"""Drives an emulator without the SDK: raw requests with a token, and waiting for what happens by itself."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from local import names
from local.azureml.environment import client_environment
from local.azureml.recorder import OBSERVER
from local.azureml.services import Config


class Wire:
    """Raw requests with a token, to see what the SDK does not show: statuses, headers, bodies."""

    def __init__(self, config: Config, api_version: str = "2023-04-01-preview") -> None:
        self._base = config.base_url
        self._api_version = api_version
        self._session = requests.Session()
        self._session.verify = str(config.tls.ca_bundle)
        self._environment = client_environment(config.port, config.identity_port, config.tls)
        self.login()

    def login(self) -> None:
        """Get a token; once more when time was moved beyond the life of the last one."""
        got = requests.get(
            self._environment["IDENTITY_ENDPOINT"],
            params={"api-version": "2019-08-01", "resource": self._base},
            headers={"X-IDENTITY-HEADER": self._environment["IDENTITY_HEADER"]},
            timeout=10,
        )
        self._session.headers["Authorization"] = f"Bearer {got.json()['access_token']}"
        self._session.headers[OBSERVER] = "true"

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def __call__(self, method: str, path: str, body: Any = None, **params: str) -> requests.Response:
        """Send a request; a path that does not start with a slash is one of the workspace."""
        url = path if path.startswith("https://") else f"{self._base}{_absolute(path)}"
        query = None if "api-version=" in url else {"api-version": self._api_version, **params}
        return self._session.request(method, url, params=query, json=body, timeout=30)

    def raw(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        return self._session.request(method, url, timeout=30, **kwargs)


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"{names.WORKSPACE_ID}/{path}".rstrip("/")


def eventually(look: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Answer the first result that is not None or False."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


def slow(config: Config) -> Config:
    """The same emulator with Azure's delays a thousand years long: what is under way stays under way."""
    return replace(config, speed=1e-9)


def register(client: Any, folder: Path, name: str, files: dict[str, str]) -> str:
    source = folder / name
    source.mkdir()
    for file, text in files.items():
        (source / file).write_text(text)
    from azure.ai.ml.entities import Model  # only after conftest has imported azure.ai.ml, quietly

    made = client.models.create_or_update(Model(name=name, version="1", path=str(source), type="mlflow_model"))
    return str(made.id)
