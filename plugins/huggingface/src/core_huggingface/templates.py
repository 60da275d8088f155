"""What a model's chat template is and what it is given: read from the Hub's data and from the messages."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core_chat.dicts import tool_as_openai
from core_chat.messages import Message, Reasoning, Tool, ToolResult


def find_template(model: Mapping[str, Any], *, tools: bool = False) -> str | None:
    """Return the chat template in the Hub's data of a model, by the Hub's own order of precedence, or None.

    Where there are several, it is the one named "tool_use" when there are tools, then "default", then the first.
    """
    config = _mapping(model.get("config"))
    places = (
        _mapping(model.get("gguf")).get("chat_template"),
        config.get("chat_template_jinja"),
        _mapping(config.get("tokenizer_config")).get("chat_template"),
        _mapping(config.get("processor_config")).get("chat_template"),
    )
    found = (_choose(place, tools=tools) for place in places)
    return next((template for template in found if template), None)


def _choose(place: Any, *, tools: bool) -> str | None:
    if isinstance(place, list):
        named = [item for item in place if isinstance(item, dict) and isinstance(item.get("name"), str)]
        place = {item["name"]: item.get("template") for item in named}
    if isinstance(place, dict):
        wanted = ["tool_use", "default"] if tools else ["default"]
        place = next((place[name] for name in (*wanted, *place) if name in place), None)
    return place if isinstance(place, str) else None


def special_tokens(model: Mapping[str, Any]) -> dict[str, str]:
    """Return the special tokens that a template may name, such as `bos_token`, from the Hub's data of a model."""
    config = _mapping(_mapping(model.get("config")).get("tokenizer_config"))
    tokens = {name: _token(value) for name, value in config.items() if name.endswith("_token")}
    return {name: token for name, token in tokens.items() if token is not None}


def _token(value: Any) -> str | None:
    token = value.get("content") if isinstance(value, Mapping) else value
    return token if isinstance(token, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def template_variables(
    messages: Iterable[Message], *, tools: Iterable[Tool] = (), tokens: Mapping[str, str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a template is rendered with; `more` is what this model's template takes beside the usual."""
    turns = [turn for message in messages for turn in _turns(message)]
    functions = [tool_as_openai(tool) for tool in tools]
    usual = {"messages": turns, "tools": functions or None, "documents": None, "add_generation_prompt": True}
    return {**tokens, **usual, **more}


def _turns(message: Message) -> list[dict[str, Any]]:
    """Return a message as a template sees it: what is not there has no key, since templates ask for keys."""
    if message.role == "tool":
        return [_result(part) for part in message.tool_results]
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    if thoughts := "".join(part.text for part in message.parts if isinstance(part, Reasoning)):
        turn["reasoning_content"] = thoughts
    if message.tool_calls:
        # Templates write the arguments out with `tojson`, so they want the object and not its text.
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _parsed(call.arguments)}}
            for call in message.tool_calls
        ]
    return [turn]


def _result(result: ToolResult) -> dict[str, Any]:
    name = {"name": result.name} if result.name else {}
    return {"role": "tool", "tool_call_id": result.id, **name, "content": result.content}


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
