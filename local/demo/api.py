"""The app as a user sees it: its HTTP API, and the storage account."""

from typing import Any

import requests
from azure.storage.blob import BlobServiceClient


class ApiError(RuntimeError):
    """The app answered with a problem; the text is its own."""


class AwayError(ApiError):
    """The app, or what it talks to, is away just now (5xx)."""


class App:
    """A person's two ways to the app: dropping files, and asking over HTTP."""

    def __init__(self, api: str, key: str, storage: str) -> None:
        self._api = api
        self._session = requests.Session()
        self._session.headers["x-functions-key"] = key
        self._session.trust_env = False
        self._blobs = BlobServiceClient.from_connection_string(storage)

    def upload(self, name: str, data: bytes) -> None:
        """Drop a file into the container that the app watches."""
        self._blobs.get_blob_client("datasets", name).upload_blob(data, overwrite=True)

    def prepared(self, run_id: str, file: str) -> bytes:
        """Read one of the files that the app prepared."""
        return bytes(self._blobs.get_blob_client("prepared", f"{run_id}/{file}").download_blob().readall())

    def get(self, path: str, **query: str) -> Any:
        """GET, as JSON. Raises: ApiError."""
        return self._checked(self._session.get(f"{self._api}/{path}", params=query, timeout=60))

    def post(self, path: str, body: Any) -> Any:
        """POST, as JSON. Raises: ApiError."""
        return self._checked(self._session.post(f"{self._api}/{path}", json=body, timeout=120))

    @staticmethod
    def _checked(response: requests.Response) -> Any:
        if response.ok:
            return response.json()
        kind = response.headers.get("Content-Type", "")
        detail = response.json().get("detail") if "json" in kind else response.text[:200]
        problem = AwayError if response.status_code >= 500 else ApiError
        raise problem(f"{response.request.method} {response.url} answered {response.status_code}: {detail}")
