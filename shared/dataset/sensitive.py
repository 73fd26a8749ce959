"""Text that some people must not train on: e-mail addresses, keys and tokens. Looked for only when asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from shared.dataset.errors import RowError

# Linear in the text: every repetition is bounded or cannot match what comes before it.
_EMAIL = re.compile(
    r"(?<![\w.+%-])[\w.+%-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}(?![\w-])", re.IGNORECASE
)
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS
    r"|\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22,}"
    r"|\bglpat-[\w-]{20}"
    r"|\bsk-(?:proj-|ant-|live-)?[\w-]{20,}|\b[rs]k_(?:live|test)_\w{16,}"  # OpenAI, Anthropic, Stripe
    r"|\bhf_[A-Za-z]{30,}"
    r"|\bxox[abeoprs]-[\w-]{10,}"  # Slack
    r"|\bAIza[\w-]{35}"  # Google
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"  # JSON Web Token
    r"|\b(?:AccountKey|SharedAccessKey)=[\w+/]{40,}={0,2}"  # Azure
    r"|[?&]sig=[\w%+/]{40,}"  # shared access signature
    r"|\b[a-z][a-z0-9+]{1,20}://[^\s/:@]{1,64}:[^\s/:@]{3,64}@"  # a password in a URL
    r"|(?i:\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)\b)[\"']?\s{0,3}[:=]\s{0,3}[\"']?[^\s\"',;]{8,}"
)


def _has_email(text: str) -> bool:
    return "@" in text and _EMAIL.search(text) is not None


def _has_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


# What can be asked for -> (the reason's code, the check).
KINDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "email_addresses": ("email_address", _has_email),
    "secrets": ("secret", _has_secret),
}


def check(texts: Iterable[str], kinds: Iterable[str]) -> None:
    """Refuse a conversation that holds one of the kinds. Raises: RowError: it does."""
    for kind in kinds:
        reason, found = KINDS[kind]
        if any(map(found, texts)):
            raise RowError(reason)
