"""How many tokens a conversation has: estimated from its characters, or counted by the model's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.dataset.errors import PrepareOptionsError

TEMPLATE_TOKENS = 4  # what a chat template adds to a message, about


def estimate(messages: int, characters: int, prompt_characters: int, encoded_bytes: int) -> int:
    """Estimate tokens from characters: four of English, one of Chinese or Japanese, each a token.

    What the row is longer than its characters (and about 30 bytes of JSON a message) comes from escapes and from
    characters of several bytes: both take more tokens. The row holds the prompt twice, so that only the messages' share
    of it counts.
    """
    twice = characters + prompt_characters
    surplus = max(0, encoded_bytes - twice - 30 * messages - 22) * characters // max(1, twice)
    return (5 * characters + 7 * surplus) // 20 + TEMPLATE_TOKENS * messages


class TokenCounter:
    """Counts with a Hugging Face `tokenizer.json`."""

    def __init__(self, path: str) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise PrepareOptionsError(
                "counting tokens needs the package tokenizers, which is not installed: pip install tokenizers"
            ) from None
        try:
            self._tokenizer: Any = Tokenizer.from_file(path)
        except Exception as fault:  # noqa: BLE001 - the library raises plain Exception for every fault of the file
            raise PrepareOptionsError(
                f"{path} is not a tokenizer.json that can be read: {_first_line(fault)}"
            ) from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, conversations: Sequence[list[str]]) -> list[int]:
        """Count the tokens of many conversations, each with what a chat template adds to its messages."""
        flat = [text for texts in conversations for text in texts]
        lengths = iter([len(found.ids) for found in self._tokenizer.encode_batch(flat, add_special_tokens=False)])
        return [sum(next(lengths) + TEMPLATE_TOKENS for _ in texts) for texts in conversations]


def _first_line(fault: Exception) -> str:
    return str(fault).splitlines()[0][:200] if str(fault) else type(fault).__name__
