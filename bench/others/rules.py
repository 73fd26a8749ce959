"""What every tool must do to a conversation, for those that do it in Python."""

from __future__ import annotations

import hashlib
from typing import Any

from xxhash import xxh3_128_digest

TEST_FRACTION = 0.05
SALT = "\x00seed:0"
LIMIT = int(TEST_FRACTION * 2**64).to_bytes(8, "big")
ROLES_IN_ORDER = "^(system,)?user,assistant(,user,assistant)*$"

Messages = list[dict[str, Any]]


def is_good(messages: Any) -> bool:
    """Tell whether roles are known and in order, and no turn is blank or missing."""
    if not isinstance(messages, list) or len(messages) < 2:
        return False
    roles = [message["role"] for message in messages]
    first = roles[0] == "system"
    if roles[first:] != ["user", "assistant"] * ((len(roles) - first) // 2):
        return False
    return all(isinstance(text := message["content"], str) and text and not text.isspace() for message in messages)


def key(messages: Messages) -> bytes:
    """Identify a conversation by its content: 16 bytes, so that a set of them stays smaller than the texts."""
    return xxh3_128_digest("\x1f".join(message["role"] + "\x1e" + message["content"] for message in messages).encode())


def is_test(prompt: str) -> bool:
    """Tell whether a prompt is held out."""
    return hashlib.sha256((prompt + SALT).encode()).digest() < LIMIT
