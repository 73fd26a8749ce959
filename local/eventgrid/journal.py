"""A file of JSON lines for people and tests. What is older than 20 MB is in NAME.1."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_LIMIT_BYTES = 20 * 1024 * 1024


class Journal:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()

    def write(self, documents: Iterable[dict[str, Any]]) -> None:
        with self._lock:
            if self._path.exists() and self._path.stat().st_size > _LIMIT_BYTES:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            with self._path.open("a") as file:
                for document in documents:
                    file.write(json.dumps(document) + "\n")
