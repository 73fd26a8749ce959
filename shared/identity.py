"""Who the app is towards Azure: its managed identity, a developer's login, or a person at a terminal."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential

PATIENCE = {"retry_total": 2, "connection_timeout": 10, "read_timeout": 60}
"""How long one call may take, for every client. The SDKs' own patience (ten retries, five minutes for an answer) would
outlast a run's lease; a run is tried again by its own schedule instead."""

ASKED_ONCE = {**PATIENCE, "retry_status": 0}
"""For Azure ML, which may answer with a Retry-After: the SDK would sleep for as long as that says, inside a function.
Only what was not answered at all is sent again at once."""


@lru_cache(maxsize=1)
def credential() -> DefaultAzureCredential:
    """Return the process's credential; the browser is offered only where someone sits in front of it."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(exclude_interactive_browser_credential=not sys.stdin.isatty())
