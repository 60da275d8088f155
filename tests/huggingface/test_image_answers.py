"""Answers to a request for a picture, in every shape."""

import base64
from typing import Any

import pytest

from core_chat.errors import ContentFilteredError, ProtocolError, ProviderError, UnavailableError
from core_huggingface._image_answers import (
    Later,
    check_failed,
    later_in,
    no_pictures,
    picture,
    pictures_in,
    status_in,
)

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
TEXT = base64.b64encode(PNG).decode()
LINK = "https://files.test/a.png"
BASE = "https://router.test/who"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"images": [{"url": LINK, "content_type": "image/jpeg"}], "seed": 1, "prompt": "x"}, [LINK]),
        ({"images": [LINK]}, [LINK]),
        ({"images": [f"data:image/png;base64,{TEXT}"]}, [PNG]),
        ({"image": {"url": LINK}}, [LINK]),
        ({"created": 1, "data": [{"b64_json": TEXT, "index": 0}]}, [PNG]),
        ({"data": [{"b64_json": None, "url": LINK}]}, [LINK]),
        ({"output": LINK, "status": "processing"}, [LINK]),
        ({"output": [LINK, LINK]}, [LINK, LINK]),
        ({"code": 200, "data": {"id": "1", "outputs": [LINK], "status": "completed"}}, [LINK]),
        ({"task_status": "SUCCESS", "image_result": [{"url": LINK}]}, [LINK]),
        ([{"url": LINK}], [LINK]),
        ({"output": None, "urls": {"get": LINK}, "input": {"prompt": LINK}}, []),
        ({"data": {"outputs": [], "urls": {"get": LINK}}}, []),
        ({"request_id": "1", "status": "IN_QUEUE", "response_url": LINK}, []),
        ({"images": ["not base64!"]}, []),
        ({"images": [""]}, []),
        ("text", []),
        (None, []),
    ],
)
def test_pictures_are_found_in_every_shape(value: Any, expected: list[bytes | str]) -> None:
    """Links and bytes, and nothing where there is none yet."""
    assert pictures_in(value) == expected


FAL = f"{BASE}/fal-ai/flux/requests/7"
POLLED = f"{BASE}/v1/predictions/p"
ZAI = f"{BASE}/api/paas/v4/async-result/t%2F1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"status": "IN_QUEUE", "response_url": "https://queue.fal.run/fal-ai/flux/requests/7"},
            Later(f"{FAL}/status?_subdomain=queue", f"{FAL}?_subdomain=queue", 0.5),
        ),
        (
            {"response_url": f"{FAL}?_subdomain=queue"},
            Later(f"{FAL}/status?_subdomain=queue", f"{FAL}?_subdomain=queue", 0.5),
        ),
        ({"urls": {"get": "https://api.replicate.com/v1/predictions/p"}}, Later(POLLED, POLLED, 0.5)),
        ({"data": {"urls": {"get": "https://api.wavespeed.ai/v1/predictions/p"}}}, Later(POLLED, POLLED, 0.5)),
        ({"id": "t/1", "task_status": "PROCESSING"}, Later(ZAI, ZAI, 5.0)),
        ({"task_status": "PROCESSING"}, None),
        ({"urls": {"cancel": "x"}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_job_is_asked_about_at_the_router(value: Any, expected: Later | None) -> None:
    """The paths are the vendor's, the host is always the one that has the key."""
    assert later_in(value, base=BASE) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"status": "COMPLETED"}, "completed"),
        ({"task_status": "SUCCESS"}, "success"),
        ({"data": {"status": "processing"}}, "processing"),
        ({"status": 200}, ""),
        ([], ""),
    ],
)
def test_the_state_of_a_job_is_read(value: Any, expected: str) -> None:
    """In lower case, wherever it stands."""
    assert status_in(value) == expected


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({"status": "failed", "error": "out of memory"}, UnavailableError, "out of memory"),
        ({"status": "canceled", "error": None}, UnavailableError, "could not be made"),
        ({"task_status": "FAIL"}, UnavailableError, "could not be made"),
        ({"code": 200, "message": "success", "data": {"status": "failed", "error": "bad"}}, UnavailableError, "bad"),
        ({"status": "failed", "error": "NSFW content detected."}, ContentFilteredError, "NSFW"),
        ({"error": {"message": "no", "type": "x"}}, UnavailableError, "no"),
    ],
)
def test_a_job_that_failed_is_an_error(value: Any, kind: type[ProviderError], text: str) -> None:
    """With the upstream's words; what was refused for its content is told apart."""
    with pytest.raises(kind, match=text):
        check_failed(value)


@pytest.mark.parametrize(
    "value", [{"status": "processing", "error": None}, {"output": []}, [], {"status": "succeeded"}]
)
def test_a_job_that_goes_on_is_no_error(value: Any) -> None:
    """An empty error is none."""
    check_failed(value)


def test_an_answer_without_a_picture_is_quoted() -> None:
    """With what it said instead."""
    error = no_pictures({"message": "come back later"})
    assert "come back later" in str(error)
    assert error.got == "{'message': 'come back later'}"


def test_the_type_of_a_picture_is_read_from_its_bytes() -> None:
    """Names and headers lie; what is no picture is none, whatever it is called."""
    assert picture(PNG) == (PNG, "image/png")
    assert picture(b"\xff\xd8\xff\xe0")[1] == "image/jpeg"
    with pytest.raises(ProtocolError, match="no picture"):
        picture(b"<html>")
