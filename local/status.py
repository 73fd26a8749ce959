"""`python -m local status`: what runs, which runs there are, which endpoints bill. How such commands ask the app."""

import json
from http import HTTPStatus
from typing import Any

import requests


class NotAnsweringError(RuntimeError):
    """The local Azure should run, but its app does not answer as it should."""


class NotFoundError(LookupError):
    """The app knows no such thing."""


def show(up: dict[str, Any]) -> None:
    """Print what the running local Azure knows. up: the line that `up` printed.

    Raises: NotAnsweringError: nothing is printed then.
    """
    runs = ask_app(up, "runs")
    endpoints = ask_app(up, "endpoints")
    print(json.dumps(up["urls"], indent=2))
    print(f"\n{'run':<48} {'state':<12} dataset")
    for run in runs["value"]:
        print(f"{run['id']:<48} {run['state']:<12} {run['dataset']['blob']}")
    print(f"\n{'endpoint':<34} {'state':<12} run")
    for endpoint in endpoints["value"]:
        print(f"{endpoint['name']:<34} {endpoint['state']:<12} {endpoint['run']}")


def ask_app(up: dict[str, Any], path: str) -> Any:
    """Return what the app answers at /api/PATH. Raises: NotAnsweringError; NotFoundError: 404."""
    return get(f"{up['urls']['api']}/{path}", **{"x-functions-key": up["env"]["FUNCTIONS_KEY"]})


def get(url: str, *, verify: str | bool = True, **headers: str) -> Any:
    """Return the JSON at an address of this machine. Raises: NotAnsweringError; NotFoundError: 404."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            response = session.get(url, headers=headers, verify=verify, timeout=60)
            if response.status_code == HTTPStatus.NOT_FOUND:
                raise NotFoundError(f"there is nothing at {url}")
            response.raise_for_status()
            return response.json()
        except requests.ConnectionError as refused:
            raise NotAnsweringError(f"nothing answers at {url}") from refused
        except requests.RequestException as fault:
            raise NotAnsweringError(f"{url} does not answer as expected: {fault}") from fault
