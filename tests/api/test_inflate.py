"""Compressed bodies come out whole and in bounded pieces, however they were packed and cut."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from random import Random
from typing import TYPE_CHECKING

import pytest

from tap_callcap.api.inflate import PIECE, DamagedError, EncodingError, inflated

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"".join(b"call %d of many; " % number for number in range(5_000))
NOISE = Random(1).randbytes(20_000)


def raw_deflate(content: bytes) -> bytes:
    """Deflate without a header, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def cut(body: bytes, size: int) -> Iterator[bytes]:
    """`body` in blocks of some size."""
    return (body[start : start + size] for start in range(0, len(body), size))


BODIES = {
    "plain": ("", TEXT, TEXT),
    "identity": (" Identity ", TEXT, TEXT),
    "gzip": ("gzip", gzip.compress(TEXT), TEXT),
    "GZip": (" GZip", gzip.compress(TEXT), TEXT),
    "x-gzip": ("x-gzip", gzip.compress(TEXT), TEXT),
    "noise": ("gzip", gzip.compress(NOISE), NOISE),
    "two members": ("gzip", gzip.compress(TEXT) + gzip.compress(b"end"), TEXT + b"end"),
    "a thousand members": ("gzip", gzip.compress(b"call ") * 1000, b"call " * 1000),
    "an empty member": ("gzip", gzip.compress(b"") + gzip.compress(TEXT), TEXT),
    "padding": ("gzip", gzip.compress(TEXT) + bytes(100), TEXT),
    "a byte behind": ("gzip", gzip.compress(TEXT) + b"\x1f", TEXT),
    "a line break behind": ("gzip", gzip.compress(TEXT) + b"\r\n", TEXT),
    "zlib": ("deflate", zlib.compress(TEXT), TEXT),
    "zlib of no effort": ("deflate", zlib.compress(NOISE, 0), NOISE),
    "raw deflate": ("Deflate", raw_deflate(TEXT), TEXT),
    "raw deflate and more": ("deflate", raw_deflate(TEXT) + b"\x1f\x8b more", TEXT),
    "nothing": ("gzip", b"", b""),
    "just a piece": ("gzip", gzip.compress(bytes(PIECE)), bytes(PIECE)),
    "just two pieces": ("gzip", gzip.compress(bytes(2 * PIECE)), bytes(2 * PIECE)),
}


@pytest.mark.parametrize("size", [1, 2, 1000, 2**14, 2**19])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_comes_out_whole(name: str, size: int) -> None:
    """Whatever its packing, and however the network cuts it, in pieces of bounded size."""
    encoding, body, content = BODIES[name]
    pieces = list(inflated(cut(body, size), encoding))
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= PIECE


def test_a_member_may_end_at_the_border_of_a_block() -> None:
    """Wherever the first of two members ends, the second one comes out."""
    first, second = gzip.compress(TEXT[:5000]), gzip.compress(b"end")
    body = first + second
    for border in range(len(first) - 10, len(first) + 20):
        blocks = [body[:border], body[border:]]
        assert b"".join(inflated(blocks, "gzip")) == TEXT[:5000] + b"end"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
def test_a_cut_body_is_an_error(encoding: str) -> None:
    """Wherever it is cut: half of a page must not pass for the page."""
    content = TEXT[:3000]
    body = {
        "gzip": gzip.compress(content),
        "deflate": zlib.compress(content),
        "raw": raw_deflate(content),
    }[encoding]
    for length in range(1, len(body)):
        with pytest.raises(DamagedError):
            list(inflated([body[:length]], encoding.replace("raw", "deflate")))
    with pytest.raises(DamagedError):
        list(inflated([gzip.compress(TEXT) + gzip.compress(TEXT)[:-1]], "gzip"))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [TEXT, gzip.compress(TEXT)[:20] + NOISE], ids=["plain", "noise"])
def test_what_is_not_compressed_is_an_error(encoding: str, body: bytes) -> None:
    """A header that is not true makes no page."""
    with pytest.raises(DamagedError):
        list(inflated([body], encoding))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "canary", "compress"])
def test_another_encoding_is_refused(encoding: str) -> None:
    """Nobody asked for it, and its bytes are not text."""
    with pytest.raises(EncodingError):
        list(inflated([TEXT], encoding))


PART = gzip.compress(bytes(2**18))
BOMBS = {
    "one member": gzip.compress(bytes(100 * 2**20), 1),
    "a thousand members": PART * 1000,
    "thousands of empty members": gzip.compress(b"") * 2**15,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str) -> None:
    """A small body of a vast content never has more than some pieces in memory."""
    tracemalloc.start()
    try:
        size = sum(map(len, inflated([BOMBS[name]], "gzip")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size in {0, 100 * 2**20, 1000 * 2**18}
    assert peak < 8 * PIECE
