"""The beginning and the end of a prediction: a caller who leaves in the middle of either leaves none running."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from core_chat import Clock
from core_replicate._api import Api
from core_replicate._names import Target
from core_replicate._predictions import Prediction

_LOG = logging.getLogger("core_chat.replicate")
_GRACE = 5.0


async def create_whole(api: Api, target: Target, *, inputs: Mapping[str, Any], cancel_after: int) -> Prediction:
    """Create a prediction; whoever leaves meanwhile waits for its id, five seconds at most, so that it is canceled."""
    task = asyncio.ensure_future(api.create(target, inputs=inputs, cancel_after=cancel_after))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _see_through(task, clock=api.client.clock)
        if not task.cancelled() and task.exception() is None:
            await cancel(api, task.result().id)
        raise


async def cancel(api: Api, prediction_id: str) -> None:
    """Cancel a prediction; what goes wrong is only logged, since something else is the reason for it.

    A caller who is cancelled meanwhile, however often, waits for the end of it all the same: some frameworks cancel
    again and again until they are obeyed, and the prediction would go on to be billed.
    """
    task = asyncio.ensure_future(_try_to_cancel(api, prediction_id))
    cancelled = await _see_through(task, clock=api.client.clock)
    if cancelled is not None:
        raise cancelled


async def _see_through(task: asyncio.Future[Any], *, clock: Clock) -> asyncio.CancelledError | None:
    """Wait for a task, five seconds at most; return the cancellation of the caller that came meanwhile."""

    def give_up() -> None:
        task.cancel()

    cancelled = None
    timer = clock.call_at(clock.time() + _GRACE, give_up)
    try:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    finally:
        timer.cancel()
    return cancelled


async def _try_to_cancel(api: Api, prediction_id: str) -> None:
    try:
        await api.cancel(prediction_id)
    except Exception as error:  # noqa: BLE001 - clean-up never hides why it was needed
        _LOG.debug("prediction %s could not be canceled: %s", prediction_id, type(error).__name__)
