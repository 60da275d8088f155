"""The sandbox's canned pictures, and the host they are fetched from."""

import struct
import zlib

from aiohttp import web

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 4096
_ENDLESS = "endless"
_PIECE = bytes(1 << 16)


def canned_picture(prompt: str, *, width: int = 64, height: int = 64) -> bytes:
    """Return a PNG of one colour, which the prompt decides; a comment in it says that it is canned."""
    width, height = (max(1, min(side, _MOST_PIXELS)) for side in (width, height))
    colour = zlib.crc32(prompt.encode()).to_bytes(4, "big")[:3]
    rows = (b"\0" + colour * width) * height
    note = f"Comment\0A canned picture of the sandbox; no model was asked. You wrote: {prompt}".encode(
        "latin-1", "replace"
    )
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"tEXt", note),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


FILES: web.AppKey[dict[str, bytes]] = web.AppKey("files", dict)


def add_routes(application: web.Application) -> None:
    """Serve the files that answers name."""
    application[FILES] = {}
    application.router.add_get("/files/{name}", _file)


def keep_file(request: web.Request, data: bytes) -> str:
    """Keep a picture and return its link, whose extension need not be true."""
    name = f"{zlib.crc32(data):08x}.png"
    request.app[FILES][name] = data
    return f"{request.url.origin()}/files/{name}"


async def _file(request: web.Request) -> web.StreamResponse:
    """Give a file out, but to nobody who shows a credential: this stands for another company's host."""
    if "Authorization" in request.headers:
        return web.Response(status=400, text="this host wants no credentials")
    name = request.match_info["name"]
    if name.startswith(_ENDLESS):
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        await response.prepare(request)
        while True:
            await response.write(_PIECE)
    data = request.app[FILES].get(name)
    if data is None:
        return web.Response(status=404, text="Not Found")
    return web.Response(body=data, content_type="image/jpeg")
