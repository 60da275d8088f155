"""The settings of a call that only Replicate has."""

import math
from typing import Any

from attrs import field, frozen

from core_chat import ChatRequest, InvalidRequestError
from core_chat.requests import number
from core_replicate._names import is_owned_name

_RUN_LIMIT = 30 * 60
_SHORTEST = 5


def _deployment(_instance: Any, _attribute: Any, value: Any) -> None:
    if value is not None and not (isinstance(value, str) and is_owned_name(value)):
        raise InvalidRequestError("the option deployment must be 'owner/name'", parameter="options")


@frozen(kw_only=True)
class Options:
    """The provider's own settings of a call.

    Attributes:
        deployment: `owner/name` of a deployment to predict with, instead of the model that is named.
        cancel_after: Seconds after which the service cancels the prediction by itself, at least 5.
    """

    deployment: str | None = field(default=None, validator=_deployment)
    cancel_after: int | None = field(default=None, validator=number(_SHORTEST, whole=True))

    def seconds(self, request: ChatRequest) -> int:
        """Return when the service is to cancel a prediction that everybody has forgotten.

        By default it is the call's `timeouts.total`, else the longest that the service lets a prediction run.
        """
        if self.cancel_after is not None:
            return self.cancel_after
        total = request.timeouts.total
        return _RUN_LIMIT if total is None else max(_SHORTEST, math.ceil(total))
