"""The state of the sandbox: which models there are, which predictions were made, and what was asked of it."""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from core_chat.clock import SYSTEM_CLOCK, Clock, TimerHandle
from core_replicate.sandbox.answers import pieces
from core_replicate.sandbox.catalogue import FLAN_T5_XL, WORKING
from core_replicate.sandbox.faulty import FAULTY
from core_replicate.sandbox.limits import RateLimit
from core_replicate.sandbox.models import Delays, Model
from core_replicate.sandbox.pictures import png
from core_replicate.sandbox.prediction import Prediction
from core_replicate.sandbox.pulse import Pulse

_KEPT = 1000
TOKEN = "r8_sandbox"  # noqa: S105 - it opens nothing but the sandbox
INVALID_TOKEN = "r8_invalid"  # noqa: S105 - as above


@frozen
class Received:
    """One request the sandbox got."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


@define(eq=False, kw_only=True)
class Emulator:
    """The sandbox behind its routes; tests look inside and wait for what happens.

    Attributes:
        base_url: Where it is served, `/v1` included.
        predictions: By id, in the order of their creation; of many, the oldest finished ones are forgotten.
        requests: The latest requests.
        files: The pictures that were made, by path.
        page_size: How many models a page has.
        enforces_limits: Whether requests over the upstream's rate limits are refused; they are counted in any case.
    """

    base_url: str = ""
    delays: Delays = field(factory=Delays)
    clock: Clock = SYSTEM_CLOCK
    page_size: int = 25
    enforces_limits: bool = False
    models: dict[str, Model] = field(factory=lambda: {model.id: model for model in (*WORKING, *FAULTY)}, repr=False)
    deployments: dict[str, Model] = field(factory=lambda: {"sandbox/deployment": FLAN_T5_XL}, repr=False)
    predictions: dict[str, Prediction] = field(factory=dict)
    requests: deque[Received] = field(factory=lambda: deque(maxlen=_KEPT), repr=False)
    files: dict[str, bytes] = field(factory=dict, repr=False)
    changed: Pulse = field(factory=Pulse, repr=False)
    creates: RateLimit = field(init=False, repr=False)
    others: RateLimit = field(init=False, repr=False)
    _tries: Counter[str] = field(factory=Counter, init=False, repr=False)
    _tasks: dict[str, asyncio.Task[None]] = field(factory=dict, init=False, repr=False)
    _timers: dict[str, TimerHandle] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.creates = RateLimit(600, clock=self.clock)
        self.others = RateLimit(3000, clock=self.clock)

    @property
    def settings(self) -> dict[str, str]:
        """The constructor arguments of a provider that talks to this sandbox."""
        return {"base_url": self.base_url, "token": TOKEN}

    async def created(self, count: int = 1) -> Prediction:
        """Wait until so many predictions were made in all, and return that one."""
        await self.changed.until(lambda: len(self.predictions) >= count)
        return next(itertools.islice(self.predictions.values(), count - 1, None))

    async def canceled(self, wanted: str | None = None) -> Prediction:
        """Wait until a cancel was posted, of this prediction or of any, and return it."""

        def asked() -> list[Prediction]:
            return [it for it in self.predictions.values() if it.cancel_requested and wanted in {None, it.id}]

        await self.changed.until(lambda: bool(asked()))
        return asked()[0]

    async def finished(self, wanted: str) -> Prediction:
        """Wait until a prediction has a final status, and return it."""
        prediction = self.predictions[wanted]
        await prediction.changed.until(lambda: prediction.finished)
        return prediction

    def refuses(self, model: Model) -> bool:
        """Return whether this create is to be refused; a model that refuses once serves every second try."""
        self._tries[model.id] += 1
        behaviour = model.behaviour
        return behaviour.refusal is not None and not (behaviour.refuses_once and self._tries[model.id] % 2 == 0)

    def start(self, prediction: Prediction, *, cancel_after: int | None = None) -> None:
        """Take a new prediction in and set it going."""
        self._forget()
        self.predictions[prediction.id] = prediction
        prediction.pieces = self._pictures(prediction) or pieces(prediction.model, prediction.input)
        if cancel_after is not None:
            prediction.deadline = prediction.created + cancel_after
            when = self.clock.time() + cancel_after
            self._timers[prediction.id] = self.clock.call_at(when, lambda: self._expire(prediction))
        self._tasks[prediction.id] = asyncio.get_running_loop().create_task(prediction.run())
        self.changed.beat()

    def cancel(self, prediction: Prediction) -> None:
        """Note that a cancel was posted, and end the prediction if it is still going."""
        prediction.cancel_requested = True
        self._stop(prediction, status="canceled")
        self.changed.beat()

    def find_stream(self, path: str) -> Prediction | None:
        """Return the prediction whose stream has this opaque path."""
        return next((it for it in self.predictions.values() if it.stream_path == path), None)

    def close(self) -> None:
        """Stop every prediction and let go of the readers of streams."""
        for prediction in self.predictions.values():
            prediction.close()
        for task in self._tasks.values():
            task.cancel()
        for timer in self._timers.values():
            timer.cancel()

    async def aclose(self) -> None:
        """Close, and wait until everything has stopped; an error in a prediction is raised here."""
        self.close()
        results = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _expire(self, prediction: Prediction) -> None:
        self._stop(prediction, status="aborted" if prediction.started is None else "canceled")

    def _stop(self, prediction: Prediction, *, status: str) -> None:
        self._tasks[prediction.id].cancel()
        if prediction.id in self._timers:
            self._timers.pop(prediction.id).cancel()
        prediction.finish(status)

    def _forget(self) -> None:
        finished = [it.id for it in self.predictions.values() if it.finished and self._tasks[it.id].done()]
        for old in finished[: max(0, len(self.predictions) + 1 - _KEPT)]:
            del self.predictions[old], self._tasks[old]
            for path in [path for path in self.files if path.startswith(f"{old}/")]:
                del self.files[path]
            if old in self._timers:
                self._timers.pop(old).cancel()

    def _pictures(self, prediction: Prediction) -> list[str]:
        if prediction.model.style != "pictures":
            return []
        given: Mapping[str, Any] = prediction.input
        width, height = (int(side) for side in str(given.get("aspect_ratio", "1:1")).split(":"))
        seed = int(given.get("seed", 0))
        urls = []
        for index in range(int(given.get("num_outputs", 1))):
            path = f"{prediction.id}/out-{index}.png"
            self.files[path] = png(width, height, colour=((seed + index) % 256, 128, 128))
            urls.append(f"{prediction.origin}/files/{path}")
        return urls
