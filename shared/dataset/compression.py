"""gzip and Zstandard, unpacked as a stream and stopped early where a small file wants to become a huge one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from shared.dataset.errors import UnusableFileError
from shared.dataset.options import PrepareOptions

GZIP, ZSTD = "gzip", "zstd"
TITLES = {GZIP: "gzip", ZSTD: "Zstandard"}
_MAGIC = {GZIP: b"\x1f\x8b\x08", ZSTD: b"\x28\xb5\x2f\xfd"}
_SKIPPABLE = tuple(bytes([0x50 + number]) + b"\x2a\x4d\x18" for number in range(16))  # frames without content
_STEP = 1024 * 1024
_PIECE = 64 * 1024
ALWAYS_ALLOWED = 16 * 1024 * 1024
_WINDOW_LOG = 27  # 128 MiB; the zstd command goes no further either, unless it is told to


def recognise(head: bytes) -> str | None:
    """Tell by its first bytes how a file is compressed, None for not at all."""
    if head.startswith(_SKIPPABLE):
        return ZSTD
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), None)


def unpack(kind: str, packed: Iterator[bytes], options: PrepareOptions) -> Iterator[bytes]:
    """Unpack blocks of bytes into blocks of at most 1 MiB; members (gzip) and frames (Zstandard) may follow each other.

    Raises: UnusableFileError: cut off, damaged, followed by something else, or larger than the options allow.
    """
    title, (decompressor, malformed) = TITLES[kind], _library(kind)
    unpacker: Any = None
    read = written = 0
    for piece in _pieces(packed):
        read += len(piece)
        rest = piece
        while unpacker is not None or (rest := _without_padding(rest, kind)):
            try:
                unpacker = unpacker or _begin(kind, rest, decompressor)
                data = unpacker.decompress(rest, _STEP)
            except malformed as fault:
                raise UnusableFileError(_damaged(title, read, written)) from fault
            written += len(data)
            _check_size(title, read, written, options)
            if data:
                yield data
            rest = b""
            if unpacker.eof:
                rest, unpacker = unpacker.unused_data, None
            elif unpacker.needs_input:
                break
    if unpacker is not None:
        raise UnusableFileError(f"the {title} file is cut off after {read:,} bytes; upload it again")


def _pieces(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Small ones, so that what is read and what became of it can be compared at any time."""
    for block in packed:
        for start in range(0, len(block), _PIECE):
            yield block[start : start + _PIECE]


def _begin(kind: str, rest: bytes, decompressor: Any) -> Any:
    """Begin a member or frame. isal would take any bytes for the beginning of a very long header."""
    magic = _MAGIC[kind]
    if kind == GZIP and rest[: len(magic)] != magic[: len(rest)]:
        raise ValueError("no gzip member")
    return decompressor()


def _library(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """The decompressor's class, and what it raises. Loaded when needed: most files are not compressed."""
    if kind == GZIP:
        from isal import igzip_lib

        return (
            lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
            (cast(type[Exception], igzip_lib.IsalError), ValueError, EOFError),
        )
    from backports import zstd

    options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options), (zstd.ZstdError, ValueError, EOFError)


def _without_padding(rest: bytes, kind: str) -> bytes:
    """Tapes and some tools fill the last block of a gzip file with zeros."""
    return rest.lstrip(b"\0") if kind == GZIP else rest


def _damaged(title: str, read: int, written: int) -> str:
    where = f"after {written:,} unpacked bytes" if written else "at its beginning"
    return f"the {title} file is damaged or followed by something else ({where}, within its first {read:,} bytes)"


def _check_size(title: str, read: int, written: int, options: PrepareOptions) -> None:
    if written > ALWAYS_ALLOWED and written > read * options.max_expansion:
        raise UnusableFileError(
            f"the {title} file unpacks to more than {options.max_expansion:g} times its size ({read:,} bytes became "
            f"{written:,} and there is more); if that is what it should be, upload it unpacked"
        )
    if written > options.max_unpacked_bytes:
        raise UnusableFileError(f"the {title} file unpacks to more than {options.max_unpacked_bytes:,} bytes")
