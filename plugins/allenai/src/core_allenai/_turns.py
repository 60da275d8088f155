"""From messages to posts: the service takes one new turn at a time, a user's text or the result of a tool."""

from collections.abc import Sequence

from attrs import field, frozen

from core_allenai._state import ThreadState
from core_chat.errors import InvalidRequestError
from core_chat.events import Notice
from core_chat.messages import Image, Message, flatten
from core_chat.requests import ChatRequest


@frozen(kw_only=True)
class Post:
    """One request for an answer; `parent` None begins a thread, and a later post continues the one before it."""

    content: str
    role: str = "user"
    images: tuple[Image, ...] = field(default=(), repr=False)
    tool_call_id: str | None = None


@frozen(kw_only=True)
class Plan:
    """The posts of a call, the state they continue, and what the caller should know of it."""

    posts: tuple[Post, ...]
    state: ThreadState | None = None
    notices: tuple[Notice, ...] = ()


def plan_posts(request: ChatRequest, state: ThreadState) -> Plan:
    """Return what has to be posted below a thread, or the whole transcript where the new turns do not fit there.

    Raises:
        InvalidRequestError: A tool call has no result, or a result no call.
    """
    new = request.new_messages
    open_calls = _open_calls(request.messages[: len(request.messages) - len(new)])
    if not open_calls and all(message.role != "tool" for message in new):
        return Plan(posts=(_user_post(new),), state=state, notices=_notices(new))
    if all(message.role == "tool" for message in new):
        return Plan(posts=_result_posts(new, open_calls), state=state)
    replayed = from_transcript(request.messages)
    why = "tool calls were left without results, or results came together with other turns"
    return Plan(posts=replayed.posts, notices=(replay_notice(why), *replayed.notices))


def from_transcript(messages: Sequence[Message]) -> Plan:
    """Return the plan that begins a thread with a whole transcript."""
    return Plan(posts=(_user_post(messages),), notices=_notices(messages))


def replay_notice(why: str) -> Notice:
    """Return the notice that the transcript was sent anew."""
    return Notice("conversation_replayed", f"{why}, so the transcript was sent again as a new conversation")


def _user_post(messages: Sequence[Message]) -> Post:
    """A system message goes before the first user turn; a history becomes one prompt."""
    images = tuple(image for message in messages for image in message.images)
    if all(message.role in ("system", "user") for message in messages):
        ordered = sorted(messages, key=lambda message: message.role != "system")
        content = "\n\n".join(message.text for message in ordered if message.text.strip())
    else:
        content = flatten(messages)
    if not content.strip():
        raise InvalidRequestError("the Playground needs some text, also beside an image", parameter="messages")
    return Post(content=content, images=images)


def _notices(messages: Sequence[Message]) -> tuple[Notice, ...]:
    notices = []
    if any(message.role not in ("system", "user") for message in messages):
        notices.append(
            Notice("history_as_text", "the earlier turns were sent as one text: the Playground takes no list")
        )
    if messages[-1].role == "assistant":
        told = "the Playground has no way to continue an assistant's turn; the model was asked to by the text alone"
        notices.append(Notice("continuation_uncertain", told, parameter="messages"))
    if any("\r\n" in message.text for message in messages):
        notices.append(Notice("line_ends", "the Playground turns CRLF into LF"))
    return tuple(notices)


def _open_calls(before: Sequence[Message]) -> list[str]:
    """The ids of the calls in the last assistant turn that have no result before the new turns."""
    answered = {result.id for message in before for result in message.tool_results}
    last = next((message for message in reversed(before) if message.role == "assistant"), None)
    return [call.id for call in last.tool_calls if call.id not in answered] if last else []


def _result_posts(messages: Sequence[Message], open_calls: Sequence[str]) -> tuple[Post, ...]:
    results = [result for message in messages for result in message.tool_results]
    given = {result.id for result in results}
    if unknown := given - set(open_calls):
        raise InvalidRequestError(f"no tool call waits for a result {min(unknown)!r}", parameter="messages")
    if missing := [call for call in open_calls if call not in given]:
        raise InvalidRequestError(f"the tool call {missing[0]!r} needs a result too", parameter="messages")
    # An empty field counts as none with the service.
    return tuple(
        Post(role="tool_call_result", content=result.content or " ", tool_call_id=result.id) for result in results
    )
