"""The same event several times: at once, after a crash, after trouble at the speech service, after the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from functions.transcripts import hearing
from functions.transcripts.process import CLAIM_SECONDS, WATCH_SECONDS
from isikit.audio.probe import Decoded, Limits
from isikit.errors import (
    AudioError,
    DeadlineExceeded,
    SpeechTokenRefused,
    SpeechUnavailable,
    StorageError,
    TenantsUnavailable,
    TokenError,
)
from unit.transcripts.scene import Scene, decode_wav, mono, never, speech, until
from unit.transcripts.tripwire import Killed

KEY = "in/acme/a.wav"
CALL = mono(speech(1000))


def unavailable() -> SpeechUnavailable:
    return SpeechUnavailable(code="nls.server_error")


async def dies(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    """A recording that takes the whole process with it."""
    raise Killed


async def kills_its_reader(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
    """A recording that takes the child process with it."""
    raise AudioError(code="audio.crashed")


async def test_two_deliveries_at_once_make_one_attempt() -> None:
    scene = Scene()
    scene.recordings.turn = scene.state.turn = lambda: asyncio.sleep(0)
    scene.pause = scene.wait_a_turn
    event = scene.upload(KEY, CALL)
    answers = await asyncio.gather(*(scene.deliver(event, request_id=f"1-{n}") for n in range(2)))
    assert [answer["jobs"][0]["outcome"] for answer in answers] == ["ended", "ended"]
    assert scene.types(KEY, CALL).count("attempt") == 1
    assert scene.types(KEY, CALL).count("terminal") == 1
    assert len(scene.recognise.calls) == 1


async def test_a_delivery_leaves_as_soon_as_the_other_shows_that_it_works() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    looked = asyncio.Event()
    second: dict[str, Any] = {}

    async def look_again(seconds: float) -> None:
        """The second delivery has looked once; before it looks again, the first renews its claim."""
        scene.clock.move(seconds)
        looked.set()
        await until(lambda: "renewed" in scene.types(KEY, CALL))

    async def once() -> None:
        scene.renewal = never
        await looked.wait()

    async def deliver_again() -> None:
        second.update(await scene.deliver(event, request_id="1-second"))

    scene.pause, scene.renewal, scene.recognise.before = look_again, once, deliver_again
    first = await scene.deliver(event, request_id="1-first")
    assert second["jobs"][0]["outcome"] == "claimed"
    assert first["jobs"][0]["outcome"] == "ended"
    assert len(scene.recognise.calls) == 1


async def test_the_attempt_is_recorded_before_the_recording_is_read() -> None:
    scene = Scene()
    seen: list[str] = []

    async def look(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
        seen.extend(scene.types(KEY, CALL))
        return await decode_wav(data, rate_hz, limits)

    scene.decode = look
    await scene.deliver(scene.upload(KEY, CALL))
    assert seen == ["received", "attempt"]


async def test_an_attempt_that_died_is_taken_over_once_its_claim_is_past() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.decode = dies
    with pytest.raises(Killed):
        await scene.deliver(event)
    scene.decode = decode_wav
    died_at = scene.clock.now()
    await scene.deliver(event)
    assert scene.types(KEY, CALL) == ["received", "attempt", "attempt", "terminal", "published"]
    assert CLAIM_SECONDS <= scene.clock.now() - died_at <= CLAIM_SECONDS + WATCH_SECONDS


async def test_the_third_crash_of_the_process_quarantines_without_reading_again() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.decode = dies
    for _ in range(3):
        with pytest.raises(Killed):
            await scene.deliver(event)
    await scene.deliver(event)
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.attempt, terminal.verdict.state, terminal.verdict.reason) == (4, "quarantined", "attempts.lost")
    assert "Three attempts" in scene.read("quarantine/acme/a.wav.report.txt")


async def test_the_third_crash_of_the_decoder_quarantines() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.decode = kills_its_reader
    for _ in range(2):
        with pytest.raises(AudioError):
            await scene.deliver(event)
    await scene.deliver(event)
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.attempt, terminal.verdict.state, terminal.verdict.reason) == (3, "quarantined", "audio.crashed")


@pytest.mark.parametrize(
    "error", [unavailable(), SpeechTokenRefused(), DeadlineExceeded(), StorageError(code="oss.unreachable")]
)
async def test_trouble_that_may_pass_ends_the_attempt_without_an_outcome_and_asks_for_another(error: Exception) -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.recognise.errors = [error]
    with pytest.raises(type(error)):
        await scene.deliver(event)
    assert scene.types(KEY, CALL) == ["received", "attempt", "ended"]
    await scene.deliver(event)
    assert scene.job(KEY, CALL).latest.published


async def test_an_attempt_given_back_need_not_be_waited_for() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.recognise.errors = [unavailable()]
    with pytest.raises(SpeechUnavailable):
        await scene.deliver(event)
    before = scene.clock.now()
    await scene.deliver(event)
    assert scene.clock.now() == before


async def test_trouble_does_not_count_as_a_crash() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.recognise.errors = [unavailable() for _ in range(3)]
    for _ in range(3):
        with pytest.raises(SpeechUnavailable):
            await scene.deliver(event)
    await scene.deliver(event)
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert terminal.verdict.state == "done"


async def test_the_fourth_attempt_in_trouble_is_the_last_because_nobody_would_come_again() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.recognise.errors = [unavailable() for _ in range(4)]
    for _ in range(3):
        with pytest.raises(SpeechUnavailable):
            await scene.deliver(event)
    await scene.deliver(event)
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("failed", "nls.server_error")


async def test_a_token_that_cannot_be_had_for_good_fails_the_job() -> None:
    scene = Scene()
    scene.recognise.errors = [TokenError(code="pop.denied")]
    await scene.deliver(scene.upload(KEY, CALL))
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert (terminal.verdict.state, terminal.verdict.reason) == ("failed", "pop.denied")


async def test_an_attempt_ends_in_time_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "LEAST_SECONDS", 0.0)
    scene = Scene()
    forever = asyncio.Event()

    async def hang() -> None:
        await forever.wait()

    scene.recognise.before = hang
    with pytest.raises(DeadlineExceeded):
        await scene.deliver(scene.upload(KEY, CALL), seconds=0.3)
    assert scene.types(KEY, CALL) == ["received", "attempt", "ended"]


async def test_without_enough_time_no_attempt_is_begun() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    with pytest.raises(DeadlineExceeded):
        await scene.deliver(event, seconds=9.0)
    assert scene.types(KEY, CALL) == ["received"]
    await scene.deliver(event)
    assert scene.job(KEY, CALL).latest.placed


async def test_a_decoder_that_is_stopped_because_our_time_is_over_did_not_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "LEAST_SECONDS", 0.0)
    scene = Scene()
    given: list[Limits] = []

    async def hang(data: bytes, rate_hz: int | None, limits: Limits) -> Decoded:
        given.append(limits)
        await never()
        raise AssertionError("it never comes back")

    scene.decode = hang
    with pytest.raises(DeadlineExceeded):
        await scene.deliver(scene.upload(KEY, CALL), seconds=0.3)
    assert (given[0].wall_seconds, given[0].cpu_seconds) == (hearing.DECODE_SECONDS, hearing.DECODE_CPU_SECONDS)
    (ended,) = [record for record in scene.records(KEY, CALL) if record["type"] == "ended"]
    assert (ended["reason"], ended["crashed"]) == ("deadline.exceeded", False)


async def test_time_spent_on_fetching_is_missed_before_decoding_and_is_no_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    get = scene.recordings.get

    async def slow(key: str, **named: Any) -> Any:
        monkeypatch.setattr(hearing, "LEAST_SECONDS", 1000.0)  # as if that much less were left
        return await get(key, **named)

    scene.recordings.get = slow  # type: ignore[method-assign]
    scene.decode = kills_its_reader
    with pytest.raises(DeadlineExceeded):
        await scene.deliver(event)
    assert scene.records(KEY, CALL)[-1]["crashed"] is False


async def test_a_tenants_file_that_cannot_be_read_costs_no_attempt() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    good = scene.state.objects.pop("config/tenants.json")
    with pytest.raises(TenantsUnavailable):
        await scene.deliver(event)
    scene.state.objects["config/tenants.json"] = good
    assert scene.types(KEY, CALL) == ["received"]
    await scene.deliver(event)
    assert scene.job(KEY, CALL).latest.published


async def test_an_outcome_that_was_not_published_is_published_by_the_next_delivery_without_working_again() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    scene.recordings.fail("copy", nth=3, error=Killed)
    with pytest.raises(Killed):
        await scene.deliver(event)
    assert scene.types(KEY, CALL)[-1] == "terminal"
    await scene.deliver(event)
    assert scene.types(KEY, CALL)[-1] == "published"
    assert len(scene.keys("transcripts/")) == 8
    assert len(scene.recognise.calls) == 1


async def test_work_whose_claim_was_lost_is_stopped_and_its_verdict_does_not_stand() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)
    thawed = asyncio.Event()
    stopped = asyncio.Event()

    async def freeze() -> None:
        """Stand still past the end of the claim; meanwhile another delivery does the work."""
        scene.recognise.before = None
        scene.clock.move(CLAIM_SECONDS + 1)
        await scene.deliver(event, request_id="1-other")
        thawed.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    async def thaw() -> None:
        scene.renewal = never
        await thawed.wait()

    scene.renewal, scene.recognise.before = thaw, freeze
    answer = await scene.deliver(event, request_id="1-frozen")
    assert answer["jobs"][0]["outcome"] == "ended"
    assert stopped.is_set()
    assert scene.types(KEY, CALL) == ["received", "attempt", "attempt", "terminal", "published"]
    terminal = scene.job(KEY, CALL).latest.terminal
    assert terminal is not None
    assert terminal.attempt == 2


async def test_a_claim_is_prolonged_while_work_goes_on() -> None:
    scene = Scene()

    async def wait_for_three_renewals() -> None:
        while scene.types(KEY, CALL).count("renewed") < 3:
            scene.clock.move(10)
            await asyncio.sleep(0)

    scene.renewal, scene.recognise.before = lambda: asyncio.sleep(0), wait_for_three_renewals
    await asyncio.wait_for(scene.deliver(scene.upload(KEY, CALL)), 30)
    assert scene.types(KEY, CALL)[-2:] == ["terminal", "published"]


async def test_a_renewal_that_fails_stops_nothing() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)

    async def wait_for_a_renewal() -> None:
        scene.state.fail("tail", error=lambda: StorageError(code="oss.unreachable"))
        await until(lambda: "renewed" in scene.types(KEY, CALL))

    scene.renewal, scene.recognise.before = lambda: asyncio.sleep(0), wait_for_a_renewal
    await asyncio.wait_for(scene.deliver(event), 30)
    assert scene.types(KEY, CALL)[-2:] == ["terminal", "published"]


async def test_a_verdict_that_stands_though_nobody_said_so_is_published_at_once() -> None:
    scene = Scene()
    event = scene.upload(KEY, CALL)

    async def lose_the_answers_to_the_verdict() -> None:
        scene.state.fail("append", times=4, when="after", key="jobs/")
        scene.state.fail("tail", times=4, key="jobs/")

    scene.recognise.before = lose_the_answers_to_the_verdict
    answer = await scene.deliver(event)
    assert answer["jobs"][0]["outcome"] == "ended"
    assert scene.types(KEY, CALL) == ["received", "attempt", "terminal", "published"]
