"""Tiny PNG pictures, made by hand."""

import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int, height: int, *, colour: tuple[int, int, int]) -> bytes:
    """Return a PNG of one colour (8-bit RGB)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\x00" + bytes(colour) * width
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(row * height)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
