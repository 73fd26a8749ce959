"""What a page is compressed with, unpacked to the size that it claims and no further."""

from __future__ import annotations

import io
from collections.abc import Callable

from shared.dataset.parquet.faults import DamagedError, LackingError

_UNCOMPRESSED, _SNAPPY, _GZIP, _BROTLI, _ZSTD, _LZ4 = 0, 1, 2, 4, 6, 7

_Unpack = Callable[[bytes | memoryview, memoryview], int]
"""Unpacks into a place; returns how many bytes."""


def unpack(codec: int, packed: bytes | memoryview, size: int) -> bytes:
    """Unpack a page.

    Raises: DamagedError: it is none, or of another size. LackingError: codec is not known here. MemoryError.
    """
    if codec == _UNCOMPRESSED:
        return bytes(packed)
    if codec not in (_SNAPPY, _GZIP, _BROTLI, _ZSTD, _LZ4):
        raise LackingError
    return _into(_library(codec), packed, size) if size else b""  # a page of nulls alone


def _into(decompress: _Unpack, packed: bytes | memoryview, size: int) -> bytes:
    from cramjam import DecompressionError

    data = io.BytesIO()  # what is unpacked into a bytearray would have to be copied
    data.seek(size - 1)
    data.write(b"\0")
    with data.getbuffer() as place:
        try:
            written = decompress(packed, place)
        except DecompressionError:
            raise DamagedError from None
    if written != size:
        raise DamagedError
    return data.getvalue()


def _library(codec: int) -> _Unpack:
    from cramjam import brotli, gzip, lz4, snappy, zstd

    if codec == _LZ4:
        return lambda packed, place: lz4.decompress_block_into(packed, place, len(place))
    return {
        _SNAPPY: snappy.decompress_raw_into,
        _GZIP: gzip.decompress_into,
        _BROTLI: brotli.decompress_into,
        _ZSTD: zstd.decompress_into,
    }[codec]
