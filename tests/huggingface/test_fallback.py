"""Who is asked next, and what is raised in the end; without any network."""

from typing import Any

import pytest

from core_chat import (
    AuthenticationError,
    ChatRequest,
    ContentFilteredError,
    ContextLengthError,
    IncompleteStreamError,
    ModelInfo,
    ModelNotFoundError,
    Notice,
    PaymentRequiredError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    RateLimitError,
    RequestRejectedError,
    Route,
    TextDelta,
    TimedOutError,
    UnavailableError,
)
from core_chat.dicts import read_messages
from core_chat.http import Failure
from core_huggingface._fallback import Fallback, may_work_elsewhere
from core_huggingface._hub import Offers, Serving

DEPLETED = "You have depleted your monthly included credits. Purchase pre-paid credits to continue."


def offers(*providers: str, task: str = "conversational", name: str = "org/m") -> Offers:
    """A mapping in which these providers are live."""
    return Offers(name, tuple(Serving(provider=one, provider_id="x", task=task) for one in providers))


class Finder:
    """A look-up that counts how often it is asked."""

    def __init__(self, found: Offers | ProviderError) -> None:
        self.found = found
        self.asked = 0

    async def __call__(self) -> Offers:
        self.asked += 1
        if isinstance(self.found, ProviderError):
            raise self.found
        return self.found


def broken(text: str = "broken") -> ProviderError:
    """A failure that another provider may make good."""
    return UnavailableError(text, status=500)


def answered_by(fallback: Fallback, provider: str) -> None:
    """Let the fallback see an error answer of a provider."""
    fallback.refine(Failure(500, headers={"x-inference-provider": provider}))


async def verdict(fallback: Fallback, error: ProviderError) -> ProviderError:
    """What is raised after a failure."""
    with pytest.raises(type(fallback._failures[0][1]) if fallback._failures else type(error)) as caught:
        await fallback.failed(error)
    return caught.value


@pytest.mark.parametrize(
    ("error", "elsewhere"),
    [
        (PaymentRequiredError(status=402), True),
        (PermissionDeniedError(status=403), True),
        (PermissionDeniedError(status=403, reason="scope"), False),
        (PermissionDeniedError(status=403, reason="gated"), False),
        (ModelNotFoundError(status=404), True),
        (ModelNotFoundError(status=400), True),
        (TimedOutError(status=408), True),
        (TimedOutError(status=504), True),
        (TimedOutError(timeout="connect"), True),
        (TimedOutError(timeout="headers"), False),
        (RequestRejectedError(status=413), True),
        (ContextLengthError(status=413), True),
        (RateLimitError(status=429), True),
        (UnavailableError(status=500), True),
        (UnavailableError(status=503), True),
        (UnavailableError("cannot connect", retryable=True), True),
        (RateLimitError("inside an answer"), True),
        (AuthenticationError(status=401), False),
        (RequestRejectedError(status=400), False),
        (RequestRejectedError(status=422), False),
        (ContextLengthError(status=400), False),
        (ContentFilteredError(status=400), False),
        (IncompleteStreamError(), False),
        (ProtocolError(status=200), False),
    ],
    ids=lambda value: f"{type(value).__name__} {value.status}" if isinstance(value, ProviderError) else str(value),
)
def test_what_another_provider_may_make_good(error: ProviderError, elsewhere: bool) -> None:  # noqa: FBT001 - a table
    """Never a bad key or a bad request."""
    assert may_work_elsewhere(error) is elsewhere


async def test_the_others_are_asked_in_order() -> None:
    """The plain id first, then the providers of the mapping without the one that answered; looked up once."""
    find = Finder(offers("a", "b", "c", "b"))
    fallback = Fallback("org/m", find=find)
    targets = [fallback.target]
    answered_by(fallback, "b")
    for _ in range(2):
        await fallback.failed(broken())
        targets.append(fallback.target)
    assert targets == ["org/m", "org/m:a", "org/m:c"]
    assert find.asked == 1


async def test_the_first_failure_is_raised_with_all_that_was_tried() -> None:
    """Its class and text; it can be tried again only if every attempt can."""
    fallback = Fallback("org/m", find=Finder(offers("a")))
    answered_by(fallback, "b")
    first = RateLimitError("too many", status=429)
    await fallback.failed(first)
    raised = await verdict(fallback, broken("gone"))
    assert raised is first
    assert [(one.target, one.error, one.status, one.text) for one in raised.attempts] == [
        ("org/m (b)", "RateLimitError", 429, "too many"),
        ("org/m:a", "UnavailableError", 500, "gone"),
    ]
    assert raised.retryable is False


async def test_what_can_be_tried_again_everywhere_can_be_tried_again() -> None:
    """Then the core waits and asks once more."""
    fallback = Fallback("org/m", find=Finder(offers("a")))
    await fallback.failed(RateLimitError("too many", status=429))
    assert (await verdict(fallback, RateLimitError("too many too", status=429))).retryable is True


async def test_one_attempt_has_no_list_of_attempts() -> None:
    """Nothing was tried beside it."""
    find = Finder(offers("a"))
    error = AuthenticationError("who?", status=401)
    assert (await verdict(Fallback("org/m", find=find), error)).attempts == ()
    assert find.asked == 0


async def test_the_attempts_are_few() -> None:
    """However many providers there are."""
    fallback = Fallback("org/m", find=Finder(offers(*"abcdefgh")))
    for _ in range(3):
        await fallback.failed(broken())
    assert len((await verdict(fallback, broken())).attempts) == 4


async def test_an_empty_account_has_one_more_try() -> None:
    """A provider to which the account has a key of its own may still answer; if not, no further one is asked."""
    fallback = Fallback("org/m", find=Finder(offers("a", "b")))
    await fallback.failed(PaymentRequiredError(DEPLETED, status=402))
    assert fallback.target == "org/m:a"
    raised = await verdict(fallback, broken())
    assert isinstance(raised, PaymentRequiredError)
    assert len(raised.attempts) == 2


async def test_an_account_that_turns_out_to_be_empty_has_one_more_try_too() -> None:
    """Whichever attempt told it."""
    fallback = Fallback("org/m", find=Finder(offers("a", "b", "c")))
    await fallback.failed(broken())
    await fallback.failed(PaymentRequiredError(DEPLETED, status=402))
    assert fallback.target == "org/m:b"
    assert len((await verdict(fallback, PaymentRequiredError(DEPLETED, status=402))).attempts) == 3


async def test_an_empty_provider_is_not_an_empty_account() -> None:
    """All the others are asked."""
    fallback = Fallback("org/m", find=Finder(offers("a", "b")))
    for target in ("org/m:a", "org/m:b"):
        await fallback.failed(PaymentRequiredError("NOT_ENOUGH_BALANCE", status=402))
        assert fallback.target == target


async def test_a_mapping_that_cannot_be_read_hides_nothing() -> None:
    """The failure that made it necessary is raised."""
    fallback = Fallback("org/m", find=Finder(TimedOutError("the Hub is slow")))
    error = broken()
    assert await verdict(fallback, error) is error


async def test_nobody_else_serves_it() -> None:
    """Nor is anybody asked who does something else with it."""
    for found in (offers(), offers("a", task="text-generation")):
        error = broken()
        assert await verdict(Fallback("org/m", find=Finder(found)), error) is error


async def test_nobody_else_is_asked_where_one_was_named_or_nobody_is_known() -> None:
    """A named provider is a wish, and a server of one's own is alone."""
    error = broken()
    assert await verdict(Fallback("org/m"), error) is error
    find = Finder(offers("a"))
    assert await verdict(Fallback("org/m", "novita", find=find), error) is error
    assert find.asked == 0


async def test_a_policy_is_no_named_provider() -> None:
    """The others are asked where the router's choice failed."""
    fallback = Fallback("org/m", "cheapest", find=Finder(offers("a")))
    assert fallback.target == "org/m:cheapest"
    await fallback.failed(broken())
    assert fallback.target == "org/m:a"


async def test_the_callers_own_list_is_all_there_is() -> None:
    """No plain id first, no look-up, no other provider."""
    find = Finder(offers("z"))
    fallback = Fallback("org/m", choice=("a", "b"), find=find)
    assert fallback.target == "org/m:a"
    await fallback.failed(broken())
    assert fallback.target == "org/m:b"
    assert [one.target for one in (await verdict(fallback, broken())).attempts] == ["org/m:a", "org/m:b"]
    assert find.asked == 0


async def test_a_renamed_model_is_asked_for_by_its_new_name() -> None:
    """The route shows it too."""
    fallback = Fallback("org/m", find=Finder(offers("a", name="new/m")))
    await fallback.failed(ModelNotFoundError("which?", status=400))
    assert fallback.target == "new/m:a"
    request = ChatRequest(model=ModelInfo("org/m"), messages=read_messages("Hi"))
    assert fallback.shown(request).model.name == "new/m"


async def test_a_model_for_pictures_is_not_asked_to_chat() -> None:
    """Only where the router does not know it for chat; also at a named provider."""
    found = offers("fal-ai", task="text-to-image")
    for fallback in (
        Fallback("org/m", find=Finder(found)),
        Fallback("org/m", "fal-ai", find=Finder(found)),
        Fallback("org/m", choice=("fal-ai",), find=Finder(found)),
    ):
        await fallback.failed(ModelNotFoundError("not supported", status=400))
        assert fallback.pictures
    error = broken()
    assert await verdict(Fallback("org/m", find=Finder(found)), error) is error


async def test_a_name_that_nobody_knows_has_close_ones() -> None:
    """Where there is a Hub; the models of a server of one's own are not known here."""
    unknown = Finder(ModelNotFoundError("nor does the Hub know it", status=404))
    for find, suggested in ((unknown, ("Qwen/QwQ-32B",)), (None, ())):
        raised = await verdict(Fallback("Qwen/QwQ-32b-x", find=find), ModelNotFoundError("which?", status=400))
        assert isinstance(raised, ModelNotFoundError)
        assert raised.suggestions[:1] == suggested


def told(fallback: Fallback, *events: Any) -> list[Any]:
    """The beginning of an answer as it is shown."""
    return list(fallback.told(events))


async def test_an_answer_after_failures_says_so() -> None:
    """A notice without a parameter, so that it is never fatal."""
    fallback = Fallback("org/m", find=Finder(offers("a")))
    await fallback.failed(broken("b0rken"))
    notice, route, text = told(fallback, Route("huggingface", "org/m"), TextDelta("Hi"))
    assert isinstance(notice, Notice)
    assert notice.parameter is None
    assert "b0rken" in notice.text
    assert route == Route("huggingface", "org/m", backend="a")
    assert text == TextDelta("Hi")


def test_the_header_knows_better_than_the_name() -> None:
    """And a policy is no provider."""
    shown = Route("huggingface", "org/m", backend="b")
    assert told(Fallback("org/m", "a"), shown) == [shown]
    plain = Route("huggingface", "org/m")
    assert told(Fallback("org/m", "cheapest"), plain) == [plain]
    assert told(Fallback("org/m"), plain) == [plain]
