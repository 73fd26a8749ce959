"""What a page is compressed with, unpacked to the size that it claims and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from shared.dataset.parquet.faults import DamagedError, LackingError

_UNCOMPRESSED = 0
_WINDOW_LOG = 27  # of Zstandard: 128 MiB
_scratch = bytearray()  # where pages are unpacked, one after the other: new memory for each takes as long


def unpack(codec: int, packed: bytes, size: int) -> bytes:
    """Unpack a page.

    Raises: DamagedError: it is none, or of another size. LackingError: codec is not known here. MemoryError.
    """
    if codec == _UNCOMPRESSED:
        return packed
    if codec not in _CODECS:
        raise LackingError
    data = _CODECS[codec](packed, size) if size else b""  # a page of nulls alone
    if len(data) != size:
        raise DamagedError
    return data


def _snappy(packed: bytes, size: int) -> bytes:
    from cramjam import snappy

    return _into(snappy.decompress_raw_into, packed, size)


def _lz4(packed: bytes, size: int) -> bytes:
    from cramjam import lz4

    return _into(lz4.decompress_block_into, packed, size)


def _brotli(packed: bytes, size: int) -> bytes:
    from cramjam import brotli

    return _into(brotli.decompress_into, packed, size)


def _into(decompress: Callable[[bytes, memoryview], int], packed: bytes, size: int) -> bytes:
    from cramjam import DecompressionError

    if len(_scratch) < size:
        _scratch.extend(bytes(size - len(_scratch)))
    with memoryview(_scratch)[:size] as place:
        try:
            return bytes(place[: decompress(packed, place)])
        except DecompressionError:
            raise DamagedError from None


def _gzip(packed: bytes, size: int) -> bytes:
    from isal import igzip_lib

    data, rest = b"", packed
    try:
        while rest and len(data) < size:
            member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            data += member.decompress(rest, size - len(data))
            rest = member.unused_data if member.eof else b""
    except (cast(type[Exception], igzip_lib.IsalError), ValueError, EOFError):
        raise DamagedError from None
    return data


def _zstd(packed: bytes, size: int) -> bytes:
    from backports import zstd

    options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
    try:
        return zstd.ZstdDecompressor(options=options).decompress(packed, size)
    except (zstd.ZstdError, ValueError, EOFError):
        raise DamagedError from None


_CODECS = {1: _snappy, 2: _gzip, 4: _brotli, 6: _zstd, 7: _lz4}
