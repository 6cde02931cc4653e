"""What gateways and webhooks share with the service: in the key file, checked, and in no repr."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from isikit.errors import KeysUnavailable
from isikit.secrets import Keys

ONE, TWO = "1" * 43, "2" * 43


def _keys(**more: Any) -> Keys:
    master = base64.b64encode(bytes(32)).decode()
    return Keys.parse(json.dumps({"version": 1, "master": master, **more}).encode())


def test_any_of_two_values_proves_a_gateway_and_no_other_does() -> None:
    keys = _keys(route_secrets=[ONE, TWO], app_secrets=["3" * 43])
    assert [keys.is_route_secret(value) for value in (ONE, TWO, "3" * 43, "", ONE[:-1], ONE + "1", "é")] == [
        *(True, True),
        *[False] * 5,
    ]
    assert (keys.is_app_secret("3" * 43), keys.is_app_secret(ONE)) == (True, False)


def test_without_any_nothing_proves_a_gateway() -> None:
    assert not any(_keys().is_route_secret(value) or _keys().is_app_secret(value) for value in ("", ONE))


def test_a_webhooks_secret_is_found_by_its_id() -> None:
    keys = _keys(webhooks={"acme": ONE})
    assert (keys.webhook_secret("acme"), keys.webhook_secret("other")) == (ONE.encode(), None)


@pytest.mark.parametrize(
    "more",
    [
        {"route_secrets": [ONE, TWO, "3" * 43]},
        {"route_secrets": ["short"]},
        {"route_secrets": [ONE + "\n"]},
        {"app_secrets": ["é" * 43]},
        {"app_secrets": ONE},
        {"webhooks": {"acme": "short"}},
        {"webhooks": {"a b": ONE}},
    ],
    ids=str,
)
def test_secrets_that_are_too_many_short_or_no_header_are_refused_unquoted(more: dict[str, Any]) -> None:
    with pytest.raises(KeysUnavailable) as raised:
        _keys(**more)
    assert ONE not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_repr_shows_none_of_it() -> None:
    assert ONE not in repr(_keys(route_secrets=[ONE], app_secrets=[ONE], webhooks={"a": ONE}))
