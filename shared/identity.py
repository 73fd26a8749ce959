"""Who the app is towards Azure: its managed identity, a developer's login, or a person at a terminal."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential


@lru_cache(maxsize=1)
def credential() -> DefaultAzureCredential:
    """Return the process's credential; the browser is offered only where someone sits in front of it."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(exclude_interactive_browser_credential=not sys.stdin.isatty())
