"""Where the routes find the emulator."""

from aiohttp import web

from core_replicate.sandbox.emulator import Emulator

EMULATOR = web.AppKey("emulator", Emulator)
