"""The bounds of every parameter, headers and credentials, tools, and a provider's own options."""

import math
from typing import Any

import pytest
from attrs import define, field, frozen, validators

from core_chat import ChatRequest, InvalidRequestError, Message, ModelInfo, ModelQuery, Tool, read_options
from core_chat.requests import (
    PARAMETERS,
    check_headers,
    check_mapping,
    check_parameters,
    check_secret,
    flag,
    number,
    text,
)


def request(**parameters: Any) -> ChatRequest:
    """A request with these parameters."""
    return ChatRequest(model=ModelInfo("m", provider="p"), messages=(Message("user", "hi"),), **parameters)


def refused(parameter: str, value: Any) -> str:
    """The text of the error for a parameter's value."""
    with pytest.raises(InvalidRequestError) as caught:
        request(**{parameter: value})
    assert caught.value.parameter == parameter
    return str(caught.value)


NUMBERS: dict[str, tuple[float, float, bool]] = {
    "temperature": (0, 2, False),
    "top_p": (0, 1, False),
    "top_k": (0, math.inf, True),
    "max_tokens": (1, math.inf, True),
    "seed": (-math.inf, math.inf, True),
    "presence_penalty": (-2, 2, False),
    "frequency_penalty": (-2, 2, False),
    "width": (1, math.inf, True),
    "height": (1, math.inf, True),
    "max_input_chars": (1, math.inf, True),
}


@pytest.mark.parametrize(("name", "low", "high", "whole"), [(name, *bounds) for name, bounds in NUMBERS.items()])
def test_numbers_have_bounds(name: str, low: float, *, high: float, whole: bool) -> None:
    """The bounds themselves are taken, explicit zeros too; beyond them is an error that tells the bounds."""
    for good in (low, high):
        if math.isfinite(good):
            value = int(good) if whole else good
            assert getattr(request(**{name: value}), name) == value
            beyond = value + 1 if good == high else value - 1
            assert f"{name} must be a" in refused(name, beyond)
    assert getattr(request(**{name: None}), name) is None
    wrong: list[Any] = [math.nan, math.inf, -math.inf, "1", True, False, [], 1j, b"1", 10**400, -(10**400), 10**5000]
    for value in [*wrong, *([1.0, 1.5] if whole else [])]:
        told = refused(name, value)
        assert told.startswith(f"{name} must be {'a whole number' if whole else 'a number'}")
        assert len(told) < 200


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("stop", ["\n", ["a", "b"], ("a",), iter(["a"]), []], ["", [""], ["a", 5], 5, b"a", {"a": 1}, [None], 0]),
        ("reasoning_effort", ["low", "xhigh"], ["", "  ", 5, True, ["low"]]),
        (
            "aspect_ratio",
            ["16:9", "1:1"],
            ["", "16", "16:9:1", "0:1", "16:0", "a:b", "-1:1", "16 : 9", "1\uff16:9", 1.5, "1.5:1"],
        ),
        ("tool_choice", ["auto", "none", "required", "f"], ["", 5, {"type": "function"}, True]),
        (
            "response_format",
            ["json", {"type": "json_object"}, {"type": "json_schema", "json_schema": {}}],
            ["", "xml", 5, {}, {"type": 5}, ["json"]],
        ),
        ("options", [{}, {"a": 1}], [5, "a", [("a", 1)], {1: 2}]),
        ("extra", [{}, {"a": 1}], [5, "a", [("a", 1)], {1: 2}]),
        ("strict", [True, False], ["yes", 1, 0]),
        ("timeouts", [], [5, {}, None]),
        ("conversation", [None], [{}, "text", [Message("user", "a")]]),
        ("api_key", ["sk-1", None], ["", 5, b"sk"]),
    ],
)
def test_other_parameters_are_checked(name: str, good: list[Any], bad: list[Any]) -> None:
    """What each parameter takes is kept, anything else is an error that names it."""
    for value in good:
        request(**{name: value})
    for value in bad:
        assert name in refused(name, value)


def test_stop_is_a_tuple_of_texts() -> None:
    """One text, a list and nothing all become a tuple."""
    assert request(stop="\n").stop == ("\n",)
    assert request(stop=["a", "b"]).stop == ("a", "b")
    assert request(stop=None).stop == request().stop == ()


def test_tools_in_every_form() -> None:
    """Tools are `Tool`s or OpenAI-style dicts, with or without the wrapping `function`."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    function = {"name": "f", "description": "d", "parameters": schema}
    tools = request(tools=[Tool("t"), {"type": "function", "function": function}, {"name": "g"}]).tools
    assert tools == (Tool("t"), Tool("f", "d", schema), Tool("g"))
    assert request(tools=None).tools == ()


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        0,
        "f",
        {"name": "f"},
        [5],
        [{}],
        [{"name": 5}],
        [{"function": {}}],
        [{"name": ""}],
        [{"name": "f", "parameters": 5}],
    ],
)
def test_what_is_no_tool_is_refused(wrong: Any) -> None:
    """Every malformed list of tools is an error before anything is sent."""
    refused("tools", wrong)


def test_two_tools_of_one_name_are_refused() -> None:
    """A model could not tell them apart."""
    assert refused("tools", [Tool("f"), Tool("g"), {"name": "f"}]) == "two tools are named 'f'"


# Headers and credentials


def test_headers_are_kept_verbatim() -> None:
    """Names and values go out as they were given, in their order."""
    given = {"X-Trace": "a b\tc", "accept-language": "de, en;q=0.5", "X-Name": "Grüße"}
    assert list(check_headers(given).items()) == list(given.items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nb"},
        {"X-A": "a\rb"},
        {"X-A": "a\0b"},
        {"X-A": "a\x0bb"},
        {"X-A": "a\u2028b"},
        {"X-A\r\nX-B": "a"},
        {"X A": "a"},
        {"X-A:": "a"},
        {"": "a"},
        {"Ä": "a"},
        {"X-A": 5},
        {"X-A": None},
        {5: "a"},
        {"Content-Length": "5"},
        {"transfer-encoding": "chunked"},
        {"Connection": "close"},
        5,
        [("X-A", "a")],
        "X-A: a",
    ],
)
def test_headers_that_cannot_be_sent_are_refused(wrong: Any) -> None:
    """Line breaks would make two headers of one, and the framing is the client's own."""
    assert "secret" not in refused("headers", wrong)


def test_a_headers_value_is_not_shown() -> None:
    """Headers may carry credentials: the error of a bad one names it alone."""
    with pytest.raises(InvalidRequestError) as caught:
        check_headers({"Authorization": "Bearer sk-secret\n"})
    assert str(caught.value) == "the header Authorization must be a text without line breaks"


@pytest.mark.parametrize(
    "secret", ["sk-secret ", " sk-secret", "sk secret", "sk-secret\n", "sk\tsecret", "sk-sécret", "sk\0"]
)
def test_a_credential_that_cannot_be_sent_is_refused_unseen(secret: str) -> None:
    """Spaces and line breaks come from copying; the error says so and never shows the key."""
    with pytest.raises(InvalidRequestError) as caught:
        check_secret(secret, "token")
    told = "token has a space, a line break or a character outside ASCII: copy it again without them"
    assert str(caught.value) == told
    assert caught.value.parameter == "token"


def test_a_good_credential_is_returned() -> None:
    """Every visible ASCII character is taken, and None stays None."""
    key = "".join(map(chr, range(0x21, 0x7F)))
    assert check_secret(key) == key
    assert check_secret(None) is None


def test_secrets_and_bodies_are_not_in_a_repr() -> None:
    """A request can be shown in a log without its key, headers or extras."""
    shown = repr(request(api_key="sk-secret", headers={"X-Key": "sk-secret"}, extra={"k": "sk-secret"}))
    shown += repr(ModelQuery(api_key="sk-secret"))
    assert "sk-secret" not in shown


# Keywords and options


def test_every_parameter_of_a_call_is_known() -> None:
    """The names a call takes are those of `Parameters`, which type checkers see."""
    from core_chat.registry import Parameters

    assert set(Parameters.__annotations__) == set(PARAMETERS)
    check_parameters(PARAMETERS)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("temprature", "unknown parameter 'temprature'; did you mean temperature? ("),
        ("max_token", "unknown parameter 'max_token'; did you mean max_tokens? ("),
        ("zzz", "unknown parameter 'zzz' (a provider's own settings go into options={…}"),
    ],
)
def test_an_unknown_keyword_has_near_names(name: str, told: str) -> None:
    """A misspelt keyword is an error that suggests the right one, or where other settings go."""
    with pytest.raises(InvalidRequestError) as caught:
        check_parameters([name])
    assert str(caught.value).startswith(told)
    assert caught.value.parameter == name


@frozen
class Options:
    """A provider's own settings."""

    size: int | None = field(default=None, validator=number(1, 10, whole=True))
    name: str | None = field(default=None, validator=text())
    fast: bool | None = field(default=None, validator=flag)
    kind: str = field(default="a", validator=validators.in_(("a", "b")))


@define
class Needy:
    """Settings of which one is required."""

    must: int


def test_options_are_read_into_the_providers_class() -> None:
    """Options become the attrs class; its defaults stand for what is left out."""
    assert read_options(Options, request(options={"size": 3, "fast": False})) == Options(size=3, fast=False)
    assert read_options(Options, request()) == Options()


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (Options, {"sise": 3}, "p has no option 'sise'; did you mean size?"),
        (Options, {"zzz": 3}, "p has no option 'zzz': it takes size, name, fast, kind"),
        (Options, {"size": 11}, "size must be a whole number from 1 to 10, not 11"),
        (Options, {"name": " "}, "name must be a text, not ' '"),
        (Options, {"fast": 1}, "fast must be True or False, not 1"),
        (Options, {"kind": "c"}, "p: bad option: 'kind' must be in ('a', 'b') (got 'c')"),
        (Needy, {}, "p: bad option: Needy.__init__() missing 1 required positional argument: 'must'"),
    ],
)
def test_bad_options_are_refused(kind: type, options: dict[str, Any], told: str) -> None:
    """Unknown options have near names, refused ones the sentence of their validator."""
    with pytest.raises(InvalidRequestError) as caught:
        read_options(kind, request(options=options))
    assert str(caught.value) == told


def test_a_mapping_is_copied() -> None:
    """What a caller changes later does not reach the request."""
    given = {"a": 1}
    kept = check_mapping(given, "extra")
    given["b"] = 2
    assert kept == {"a": 1}
    assert check_mapping(None, "extra") == {}
