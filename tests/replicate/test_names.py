"""What a model name means."""

import pytest

from core_replicate._names import BUNDLED, DEFAULT_MODEL, Target, is_owned_name, is_version, parse_name

VERSION = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("meta/meta-llama-3-70b-instruct", Target("meta/meta-llama-3-70b-instruct")),
        ("openai/gpt-4.1-mini", Target("openai/gpt-4.1-mini")),
        ("a_b/c.d_e-f", Target("a_b/c.d_e-f")),
        ("meta/llama-2-70b-chat:latest", Target("meta/llama-2-70b-chat")),
        (f"meta/llama-2-70b-chat:{VERSION}", Target("meta/llama-2-70b-chat", VERSION)),
        (VERSION, Target(None, VERSION)),
    ],
)
def test_names_that_mean_a_prediction(name: str, target: Target) -> None:
    """A model, a model's version, its latest version, and a version alone are told apart."""
    assert parse_name(name) == target


@pytest.mark.parametrize(
    "name",
    [
        *("", "llama", "/", "meta/", "/llama", "a/b/c", "../models", "a/..", "a/b:", "a/b:v1", f"a/b:{VERSION[:-1]}"),
        *(f"a/b:{VERSION.upper()}", f":{VERSION}", VERSION + "0", "a/b\n", "a b/c", "a/b?x=1", "a/b#x", "a/ü", "-a/b"),
    ],
)
def test_names_that_mean_nothing(name: str) -> None:
    """What is no name is refused, above all what would lead to another path of the API."""
    assert parse_name(name) is None


def test_parts_of_names() -> None:
    """Deployments have names like models, and versions are 64 hexadecimal digits."""
    assert is_owned_name("acme/chat-1")
    assert not is_owned_name("acme/chat-1:latest")
    assert is_version(VERSION)
    assert not is_version(f"x{VERSION}")


def test_the_bundled_models_can_be_named() -> None:
    """Every bundled name means itself, and the default one is among them."""
    assert all(parse_name(name) == Target(name) for name in BUNDLED)
    assert BUNDLED[DEFAULT_MODEL] == "chat"
