"""The tree as a whole, and the problem document."""

from __future__ import annotations

import re

import pytest

import isikit.errors
from isikit.errors import (
    DeadlineExceeded,
    FieldError,
    Forbidden,
    IsiError,
    LimitError,
    Overloaded,
    Refused,
    RequestError,
    SpeechError,
    SpeechUnavailable,
    problem,
)


def _classes(root: type[IsiError] = IsiError) -> list[type[IsiError]]:
    """The tree's own classes; other modules, and other tests, may have put leaves of their own below them."""
    found = [root, *(one for child in root.__subclasses__() for one in _classes(child))]
    return [kind for kind in found if kind.__module__.startswith("isikit.errors")]


@pytest.mark.parametrize("kind", _classes(), ids=lambda kind: kind.__name__)
def test_every_class_is_public_drawn_and_advises(kind: type[IsiError]) -> None:
    assert getattr(isikit.errors, kind.__name__) is kind
    assert kind.__name__ in (isikit.errors.__doc__ or "")
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.code)
    assert 400 <= kind.status <= 599
    assert kind.advice.endswith(".")
    assert kind.retryable or kind.retry_after is None


@pytest.mark.parametrize("kind", [k for k in _classes() if k is not IsiError], ids=lambda kind: kind.__name__)
def test_the_drawing_names_the_status_that_the_class_has(kind: type[IsiError]) -> None:
    line = re.search(rf"{kind.__name__}\b +(\S+)", isikit.errors.__doc__ or "")
    if line and line[1][:3].isdigit():
        assert str(kind.status) in line[1]


def test_a_problem_has_exactly_the_fields_of_the_contract() -> None:
    assert problem(Refused(), "1-2-3") == {
        "type": "urn:speech-functions:problem:identity.refused",
        "code": "identity.refused",
        "status": 401,
        "title": "The caller is not known",
        "detail": "Send a valid key in X-Api-Key.",
        "request_id": "1-2-3",
    }


def test_a_problem_says_when_to_come_back() -> None:
    assert problem(LimitError(retry_after=7), "1")["retry_after"] == 7
    assert problem(Overloaded(), "1")["retry_after"] == 1


def test_a_problem_names_all_mistakes_and_what_would_be_allowed() -> None:
    error = RequestError(errors=[FieldError("volume", "range", [0, 100]), FieldError("colour", "unknown")])
    assert problem(error, "1")["errors"] == [
        {"field": "volume", "code": "range", "allowed": [0, 100]},
        {"field": "colour", "code": "unknown"},
    ]


@pytest.mark.parametrize("sent", ["您的验证码是482913", "a b", "x" * 97, "a\n"])
def test_a_field_name_that_may_be_a_text_is_not_echoed(sent: str) -> None:
    assert problem(RequestError(errors=[FieldError(sent, "unknown")]), "1")["errors"] == [
        {"field": "<unnamed>", "code": "unknown"}
    ]


def test_detail_holds_what_happened_and_what_to_do() -> None:
    detail = problem(DeadlineExceeded("The synthesis took too long."), "1")["detail"]
    assert detail == "The synthesis took too long. Try again; work already done is kept."


def test_overrides_stay_with_the_instance() -> None:
    Forbidden(code="identity.no_lease", retry_after=3)
    assert (Forbidden.code, Forbidden.retry_after) == ("identity.forbidden", None)


def test_every_503_that_may_be_tried_again_says_when() -> None:
    assert problem(DeadlineExceeded(), "1-x")["retry_after"] == 1
    assert problem(SpeechError(code="nls.connection_lost"), "1-x").get("retry_after") is None
    assert problem(SpeechUnavailable(), "1-x")["retry_after"] >= 1  # type: ignore[operator]
