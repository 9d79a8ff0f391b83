"""Decompression of bodies, a bounded piece at a time. Pure.

How much memory the libraries' own decompression takes depends on their versions and on Python's.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ACCEPTED = "gzip, deflate"
PIECE = 2**19  # bytes that come out at once
_INPUT = 2**14  # bytes that go in at once; what follows a member of gzip is copied
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class EncodingError(Exception):
    """A body is encoded in another way than asked for."""


class DamagedError(Exception):
    """A compressed body is cut or broken."""


def inflated(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The content of a body that comes in `blocks`, by its Content-Encoding.

    Raises:
        EncodingError: If the encoding is not one of `ACCEPTED`.
        DamagedError: If the body is cut or broken.
    """
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        yield from blocks
        return
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise EncodingError
    is_gzip = encoding != "deflate"
    member, count, piece, rest = None, 0, b"", b""
    for part in _parts(blocks):
        rest += part
        # Two bytes tell how a member is compressed; a full piece may not be all that is to come.
        while len(rest) > (member is None) or len(piece) == PIECE:
            if member is None:
                if count and not (is_gzip and rest.startswith(b"\x1f\x8b")):
                    rest = b""  # padding, or a line break
                    break
                member = zlib.decompressobj(_GZIP if is_gzip else _deflate_format(rest))
                count += 1
            try:
                piece = member.decompress(rest, PIECE)
            except zlib.error:
                raise DamagedError from None
            yield piece
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member, piece = None, b""
    if member is not None or (rest and not count):
        raise DamagedError


def _parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks in small parts."""
    for block in blocks:
        for start in range(0, len(block), _INPUT):
            yield block[start : start + _INPUT]


def _deflate_format(start: bytes) -> int:
    """The format of a body that begins with `start`: servers mean either by deflate."""
    is_zlib = start[0] & 15 == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
    return _ZLIB if is_zlib else _RAW
