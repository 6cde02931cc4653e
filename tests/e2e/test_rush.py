"""A rush through the gateway on deployed instances, by localcloud's own counters."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def test_200_requests_for_one_new_prompt_cost_one_synthesis_and_get_one_url(local: Local) -> None:
    body = {"text": f"Your code is {uuid.uuid4().hex[:8]}.", "retention": "permanent", "wait_ms": 25_000}
    before = local.counters().get("nls.synthesis", 0)
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: local.post("/v1/prompts", json=body), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    (url,) = {answer.json()["url"] for answer in answers}
    assert local.counters()["nls.synthesis"] == before + 1
    assert sum(answer.json()["billed"]["calls"] for answer in answers) == 1
    assert requests.get(url, timeout=10).headers["Content-Type"] == "audio/wav"


def test_many_different_prompts_at_once_are_all_made_and_paid_for_once(local: Local) -> None:
    run = uuid.uuid4().hex[:8]
    before = local.counters().get("nls.synthesis", 0)

    def asked(number: int) -> requests.Response:
        return local.post("/v1/prompts", json={"text": f"Number {number} of {run}.", "wait_ms": 25_000})

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(asked, range(60)))
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "ready")}
    assert len({answer.json()["url"] for answer in answers}) == 60
    assert local.counters()["nls.synthesis"] == before + 60
