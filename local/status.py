"""`python -m local status`: what runs, which runs there are, which endpoints bill."""

import json
from typing import Any

import requests


def show(up: dict[str, Any]) -> None:
    """Print what the running local Azure knows. up: the line that `up` printed."""
    session = requests.Session()
    session.trust_env = False
    session.headers["x-functions-key"] = up["env"]["FUNCTIONS_KEY"]
    api = up["urls"]["api"]
    runs = session.get(f"{api}/runs", timeout=30).json()
    endpoints = session.get(f"{api}/endpoints", timeout=60).json()
    print(json.dumps(up["urls"], indent=2))
    print(f"\n{'run':<48} {'state':<12} dataset")
    for run in runs["value"]:
        print(f"{run['id']:<48} {run['state']:<12} {run['dataset']['blob']}")
    print(f"\n{'endpoint':<34} {'state':<12} run")
    for endpoint in endpoints["value"]:
        print(f"{endpoint['name']:<34} {endpoint['state']:<12} {endpoint['run']}")
