"""Prompt formats by name, for a model whose own chat template is not known or not wanted.

Each writes what the published template of the model it is named after writes for the same messages; an assistant
message at the end is left open to be continued.
"""

from collections.abc import Sequence

from attrs import evolve, frozen

from core_chat.errors import InvalidRequestError, close_names, hint
from core_chat.messages import Message, flatten


@frozen(kw_only=True)
class _Headed:
    """A format in which each turn has a head with its role, and a tail; `start` opens the prompt."""

    head: str
    tail: str
    start: str = ""
    system: str | None = None
    """The system message of a conversation that begins without one."""
    trimmed: bool = False

    def write(self, messages: Sequence[Message]) -> str:
        """Return the prompt."""
        turns = [(message.role, message.text.strip() if self.trimmed else message.text) for message in messages]
        if self.system is not None and turns[0][0] != "system":
            turns.insert(0, ("system", self.system))
        if messages[-1].role == "assistant":
            turns.pop()
            ending = messages[-1].text.lstrip() if self.trimmed else messages[-1].text
        else:
            ending = ""
        closed = [f"{self._head(role)}{text}{self.tail}" for role, text in turns]
        return f"{self.start}{''.join(closed)}{self._head('assistant')}{ending}"

    def _head(self, role: str) -> str:
        return self.head.replace("ROLE", role)


_CHATML = _Headed(head="<|im_start|>ROLE\n", tail="<|im_end|>\n")
_HEADED = {
    "qwen": _CHATML,
    "qwen2": evolve(_CHATML, system="You are a helpful assistant."),
    "llama": _Headed(
        start="<|begin_of_text|>",
        head="<|start_header_id|>ROLE<|end_header_id|>\n\n",
        tail="<|eot_id|>",
        trimmed=True,
    ),
}
FORMATS: tuple[str, ...] = ("plain", "mistral", *_HEADED, "custom")


def known_formats() -> str:
    """Return the names of the formats, for the text of an error."""
    return f"the formats are {', '.join(FORMATS)}"


def format_prompt(name: str, messages: Sequence[Message], *, end_token: str | None = None) -> str:
    """Return the messages as one prompt in a named format; `end_token` ends each turn of the format `custom`.

    Raises:
        InvalidRequestError: There is no such format, it has no place for something in the messages, or `custom` has no
            end token.
    """
    if name == "plain":
        return flatten(messages)
    if name not in FORMATS:
        close = hint(close_names(name, FORMATS))
        raise InvalidRequestError(f"unknown format {name!r}{close}: {known_formats()}", parameter="options")
    if any(message.tool_calls or message.tool_results for message in messages):
        raise InvalidRequestError(
            f"the format {name!r} has no place for tool calls and their results", parameter="messages"
        )
    if name == "mistral":
        return _mistral(messages)
    if name == "custom":
        return _Headed(head="<|ROLE|>\n", tail=f"{_checked(end_token)}\n").write(messages)
    return _HEADED[name].write(messages)


def _checked(end_token: str | None) -> str:
    if not end_token:
        raise InvalidRequestError(
            "the format 'custom' needs options={'end_token': …}: the model's data names none", parameter="options"
        )
    return end_token


def _mistral(messages: Sequence[Message]) -> str:
    """Write as Mistral-7B-Instruct-v0.3 is asked: the system message stands in the last user turn."""
    systems = [message.text for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    asking = max((index for index, message in enumerate(others) if message.role == "user"), default=None)
    if asking is None:
        raise InvalidRequestError("the format 'mistral' needs a user message", parameter="messages")
    pieces = ["<s>"]
    for index, message in enumerate(others):
        if message.role == "user":
            text = "\n\n".join([*systems, message.text]) if index == asking else message.text
            pieces.append(f"[INST] {text}[/INST]")
        elif index == len(others) - 1:
            pieces.append(f" {message.text.lstrip()}")
        else:
            pieces.append(f" {message.text.strip()}</s>")
    return "".join(pieces)
