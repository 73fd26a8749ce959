"""Parquet files: the rows of one a few at a time, in Python alone but for the decompressors.

The format: https://parquet.apache.org/docs/file-format. Only what a conversation can be made of is decoded: texts and
the numbers beside them, in any nesting. A file lies as its author likes; here a lie is at worst an exception.
"""

from shared.dataset.parquet.batches import Batches, batches

__all__ = ["Batches", "batches"]
