"""Waiting for something, as long as there is progress, through the small troubles of a busy machine."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from local.demo.api import AwayError

T = TypeVar("T")


class Patience:
    """Asks again and again. `progress` is whatever its user sets: as long as it changes, time does not run out."""

    def __init__(self, meanwhile: Callable[[], None], *, without_progress_s: float = 600, pause_s: float = 1) -> None:
        self._meanwhile, self._without_progress_s, self._pause_s = meanwhile, without_progress_s, pause_s
        self.progress: Any = None

    def until(self, attempt: Callable[[], T | None], what: str) -> T:
        """Return the first answer that is not None.

        Raises: TimeoutError: nothing changed for long.
        """
        seen, since = self.progress, time.monotonic()
        while True:
            self._meanwhile()
            try:
                answer = attempt()
            except (requests.ConnectionError, requests.Timeout, AwayError):
                answer = None  # the host is being started again, or is busy
            if answer is not None:
                return answer
            if self.progress != seen:
                seen, since = self.progress, time.monotonic()
            if time.monotonic() - since > self._without_progress_s:
                raise TimeoutError(
                    f"Waited {self._without_progress_s / 60:.0f} minutes for {what}, and nothing changed."
                )
            time.sleep(self._pause_s)
