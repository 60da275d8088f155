"""A scripted upstream on a real socket: plays responses and faults, records requests, sees clients leave.

```python
async with Upstream(Response.sse(["Hel", "lo"]), faults.rate_limited(7)) as upstream:
    ...  # talk to upstream.url
assert upstream.requests[0].json() == {"stream": True}
```
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self, TypeAlias

from core_chat.testing._connection import Connection, protocol
from core_chat.testing.requests import Request
from core_chat.testing.responses import Response

Script: TypeAlias = Response | Callable[[Request], Response]
Alter: TypeAlias = Callable[[Request, Response], Response]
Routes: TypeAlias = Mapping[str, Script | Sequence[Script]]


class ScriptError(AssertionError):
    """The upstream was asked for something its script does not have, or the script failed."""


class Upstream:
    """An HTTP/1.1 server on 127.0.0.1 that answers as it is told, in and with the running event loop.

    Args:
        script: Answers in the order in which they are given out, each once: responses, or functions of the request.
        routes: Answers by "METHOD /path" or "/path", where `*` stands for anything; looked at before `script`. A
            single answer is given to every request, a list of them in order, each once.
        alter: Called with every request and its response; what it returns is sent instead. For faults in one place.
        strict: Leaving the block raises what went wrong with the script. False only answers such requests with 501.

    Raises:
        ScriptError: On leaving the block: a request had no answer, or a function of the script failed.
    """

    def __init__(
        self, *script: Script, routes: Routes | None = None, alter: Alter | None = None, strict: bool = True
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.problems: list[str] = []
        self.url = ""
        self._script = deque(script)
        self._scripted = len(self._script)
        self._routes = {route: _route(answer) for route, answer in (routes or {}).items()}
        self._alter = alter
        self._strict = strict
        self._arrived = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: protocol(self._connected), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()
        if not self.problems or not self._strict:
            return
        told = "; ".join(self.problems)
        if error is None:
            raise ScriptError(told)
        error.add_note(f"The upstream's script: {told}")

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """The upstream's own tasks, for tests that look for tasks somebody forgot."""
        return frozenset(self._open)

    async def received(self, count: int = 1) -> Request:
        """Wait until `count` requests have come, and return the last of them."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()
        return self.requests[count - 1]

    def _connected(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(connection, self.connections))
        self.connections += 1
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, connection: Connection, number: int) -> None:
        try:
            while (request := await connection.receive()) and await self._serve_one(connection, request, number=number):
                pass
            await connection.close()
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: what went wrong is told on leaving
            self.problems.append(f"a connection failed: {error!r}")
        finally:
            connection.abort()

    async def _serve_one(self, connection: Connection, request: Request, *, number: int) -> bool:
        request.origin, request.connection, request.number = self.url, number, len(self.requests)
        self.requests.append(request)
        self._arrived.set()
        request.response = self._answer(request)
        alive = await connection.answer(request, request.response)
        if request.left.is_set():
            self.left.set()
        return alive

    def _answer(self, request: Request) -> Response:
        try:
            script = self._find(request)
            response = script if isinstance(script, Response) else script(request)
            return self._alter(request, response) if self._alter else response
        except Exception as error:  # noqa: BLE001 - whatever a script's function raises is told on leaving the block
            return self._problem(f"{request.method} {request.path}: {error!r}")

    def _find(self, request: Request) -> Script:
        for route, answer in self._routes.items():
            if fnmatchcase(f"{request.method} {request.path}", route if " " in route else f"* {route}"):
                if not isinstance(answer, deque):
                    return answer
                if answer:
                    return answer.popleft()
        if self._script:
            return self._script.popleft()
        return lambda request: self._problem(self._unexpected(request))

    def _unexpected(self, request: Request) -> str:
        routes = f"; routes: {', '.join(self._routes)}" if self._routes else ""
        return (
            f"request {len(self.requests)}, {request.method} {request.path}, was not expected: "
            f"all {self._scripted} scripted answers have been given{routes}"
        )

    def _problem(self, text: str) -> Response:
        self.problems.append(text)
        return Response(text, status=501, headers={"Content-Type": "text/plain; charset=utf-8"})


def _route(answer: Script | Sequence[Script]) -> Script | deque[Script]:
    return deque(answer) if isinstance(answer, Sequence) else answer
