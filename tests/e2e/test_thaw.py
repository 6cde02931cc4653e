"""Instances stand still for ten minutes of their clock; then fifty requests come at once."""

from __future__ import annotations

import uuid

import pytest

from support.thawing import Thawing

pytestmark = pytest.mark.xdist_group("thaw")

DAY_SECONDS = 24 * 3600
FROZEN_SECONDS = 600
LIFE_SECONDS = FROZEN_SECONDS + 20  # so that what the instances hold is worth nothing to anybody when they thaw
MIN_LIFE_SECONDS = 600


def prompt() -> tuple[str, dict[str, str]]:
    return "/v1/prompts", {"text": f"Your code is {uuid.uuid4().hex[:8]}.", "consumer": "asterisk"}


def test_after_ten_frozen_minutes_fifty_requests_meet_no_dead_token_and_no_dead_socket(
    thawing_cloud: Thawing,
) -> None:
    cloud = thawing_cloud
    cloud.advance(DAY_SECONDS + 60)  # no token of another test lives
    cloud.arm(operation="pop.CreateToken", action="life", seconds=LIFE_SECONDS, times=99)
    try:
        held = {answer.json().get("token") for answer in cloud.at_once(*[("/v1/token", {})] * 8)}
        spoken = cloud.at_once(*[prompt() for _ in range(8)])
        assert {answer.status_code for answer in spoken} == {200}
        cloud.await_frozen("token", "tts", "asr")
        pids = {one["pid"] for name in ("token", "tts") for one in cloud.instances(name)}
        before = cloud.local.counters()
        cloud.relays.forget()  # while all stand still: the clock's move lets the timer of asr run
        cloud.advance(FROZEN_SECONDS)

        answers = cloud.at_once(*[("/v1/token", {})] * 25, *[prompt() for _ in range(25)])
        assert [answer.status_code for answer in answers] == [200] * 50
        leases = [answer.json() for answer in answers[:25]]
        assert len({lease["token"] for lease in leases} - held) == 1
        assert all(MIN_LIFE_SECONDS <= lease["expires_in"] <= LIFE_SECONDS for lease in leases)
        assert {answer.json()["status"] for answer in answers[25:]} == {"ready"}

        assert cloud.relays.spoken_to_the_dead == 0
        assert pids & {one["pid"] for name in ("token", "tts") for one in cloud.instances(name)}, "nothing was thawed"
        after = cloud.local.counters()
        assert after["nls.synthesis"] - before["nls.synthesis"] == 25
        assert after["nls.tts.rest"] - before["nls.tts.rest"] == 25  # none was refused and tried again
        assert after["pop.CreateToken"] - before["pop.CreateToken"] == 1  # both functions, one token
    finally:
        cloud.disarm()
