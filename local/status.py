"""`python -m local status`: what runs, which runs there are, which endpoints bill."""

import json
from typing import Any

import requests


class NotAnsweringError(RuntimeError):
    """The local Azure should run, but its app does not answer as it should."""


def show(up: dict[str, Any]) -> None:
    """Print what the running local Azure knows. up: the line that `up` printed.

    Raises: NotAnsweringError: nothing is printed then.
    """
    session = requests.Session()
    session.trust_env = False
    session.headers["x-functions-key"] = up["env"]["FUNCTIONS_KEY"]
    api = up["urls"]["api"]
    runs = _get(session, f"{api}/runs")
    endpoints = _get(session, f"{api}/endpoints")
    print(json.dumps(up["urls"], indent=2))
    print(f"\n{'run':<48} {'state':<12} dataset")
    for run in runs["value"]:
        print(f"{run['id']:<48} {run['state']:<12} {run['dataset']['blob']}")
    print(f"\n{'endpoint':<34} {'state':<12} run")
    for endpoint in endpoints["value"]:
        print(f"{endpoint['name']:<34} {endpoint['state']:<12} {endpoint['run']}")


def _get(session: requests.Session, url: str) -> Any:
    try:
        response = session.get(url, timeout=60)
        response.raise_for_status()
        return response.json()
    except requests.ConnectionError as refused:
        raise NotAnsweringError(f"nothing answers at {url}") from refused
    except requests.RequestException as fault:
        raise NotAnsweringError(f"{url} does not answer as expected: {fault}") from fault
