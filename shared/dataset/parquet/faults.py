"""Why a Parquet file cannot be read; batches.py has the words for people."""

from __future__ import annotations


class DamagedError(Exception):
    """The file contradicts itself, or the format."""


class LackingError(Exception):
    """A compression or an encoding that this package does not know."""


class TooLargeError(Exception):
    """The next row is larger than a row may be."""


class EncryptedError(Exception):
    """The columns, or one of them, are encrypted."""
