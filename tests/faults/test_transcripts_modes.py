"""Every outward call of a clean run is struck, in every mode and on every way to an outcome.

A call is struck in five ways: the process dies before its effect or after it, no answer comes before it or after it,
or it takes effect twice and the second answer is the one that is heard (what a proxy's repetition does). Then all that
may come again does: the event, twice and at the same time; the service's callbacks; the timer, over longer than the
service's longest queue. Whatever was struck, there is one terminal record for each generation, what lies in the places
of its outputs is byte for byte what that attempt made, nothing is left open or under `work/`, nothing is paid once
there is an outcome, and nothing is submitted a second time unless nobody could know of the first.

`sentence` by plain calls and quarantine are struck in `tests/unit/transcripts/test_faults.py`, `file` as far as the
timer finishes it in `test_faults_of_file_mode.py`; here are the ways that those leave out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from functions.transcripts.handover import EXPECTED_SECONDS
from functions.transcripts.patience import flash_patiently, patiently, realtime_patiently
from isikit.errors import IsiError, SpeechAudioRefused, SpeechError, SpeechUnavailable, TokenError
from isikit.host.context import Deadline
from isikit.nls.sentences import Sentence
from isikit.nls.token import SpeechToken
from unit.transcripts.scene import Scene, mono, speech, stereo
from unit.transcripts.tripwire import Killed, Tripwire

KEY = "in/acme/call 1.wav"
PLACE = "transcripts/acme/call 1.wav"
SHORT = mono(speech(300))
SIDES = stereo(speech(300, 440), speech(300, 700))

Strike = Literal["dies before", "dies after", "lost before", "lost after", "twice"]
STRIKES: tuple[Strike, ...] = ("dies before", "dies after", "lost before", "lost after", "twice")


class Wire(Tripwire):
    """A tripwire that also reaches the modes that are answered at once, tokens and quotas, and can act twice."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.twice_at = 0
        self._doubling = 0

    def strike(self, at: int, strike: Strike) -> None:
        """Strike the call numbered `at`, from 1 on."""
        if strike == "twice":
            self.twice_at = at
        else:
            how, _, when = strike.partition(" ")
            self.arm(at, "before" if when == "before" else "after", "death" if how == "dies" else "error")

    def revive(self) -> None:
        super().revive()
        self.twice_at = 0

    async def call(self, name: str, error: Callable[[], BaseException], effect: Callable[[], Awaitable[Any]]) -> Any:
        if len(self.calls) + 1 == self.twice_at:

            async def twice() -> Any:
                await effect()
                return await effect()

            return await super().call(name, error, twice)
        return await super().call(name, error, effect)


@dataclass
class Modes:
    """The speech service for the modes that wait for it, one token for all, and a quota; all of them wired."""

    wire: Wire
    paid: list[str] = field(default_factory=list)
    refusing: bool = False

    async def get(self, min_life_seconds: int, deadline: Deadline) -> SpeechToken:
        async def made() -> SpeechToken:
            return SpeechToken("token", 2_000_000_000)

        token: SpeechToken = await self.wire.call("token", no_token, made)
        return token

    def invalidate(self, token_id: str) -> None:
        """Never refused here."""

    async def spend(self, *_: object) -> None:
        async def nothing() -> None:
            return

        await self.wire.call("spend", SpeechUnavailable, nothing)

    async def text(self, pcm: bytes, rate_hz: int, appkey: str, token: SpeechToken, deadline: Deadline) -> str:
        return str(await self._said("recognise", "hello"))

    async def whole(self, data: bytes, *_: object) -> tuple[Sentence, ...]:
        return (Sentence(0, 200, 0, str(await self._said("listen", "hello"))),)

    async def _said(self, name: str, text: str) -> str:
        async def said() -> str:
            if self.refusing:
                raise SpeechAudioRefused(code="nls.audio_undecodable")
            self.paid.append(text)
            return text

        return str(await self.wire.call(name, lost, said))


def lost() -> SpeechError:
    """No answer from the speech service."""
    error = SpeechUnavailable("no answer", code="nls.connection_lost")
    error.retry_after = 0
    return error


def no_token() -> TokenError:
    """No answer from the token API."""
    error = TokenError("no answer", code="pop.unreachable")
    error.retryable = True
    return error


@dataclass(frozen=True)
class Way:
    """One way to an outcome: what is uploaded under which rule, and what happens in a clean run."""

    name: str
    data: bytes
    run: Callable[[World], Awaitable[None]]
    rule: dict[str, str] = field(default_factory=dict)
    submissions: int = 0
    payments: int = 0
    states: tuple[str, ...] = ("done",)
    has_queue: bool = False

    def __str__(self) -> str:
        return self.name


class World:
    """One way, wired."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.scene = Scene()
        self.scene.tenants(({"prefix": "", **way.rule},) if way.rule else (), acme={8000: "narrow", 16000: "wide"})
        self.wire = Wire(self.scene)
        self.modes = modes = Modes(self.wire)
        if way.has_queue:
            self.scene.with_queue()
        self.scene.recognise = patiently(modes.text, modes, pause=self._no_pause)  # type: ignore[assignment]
        self.scene.flash = flash_patiently(modes.whole, modes, pause=self._no_pause)
        self.scene.realtime = realtime_patiently(modes.whole, modes)
        self.scene.spend = modes.spend
        self.event = self.scene.upload(KEY, way.data, {"call-id": "c-1"})

    async def _no_pause(self, seconds: float) -> None:
        self.scene.clock.move(seconds)

    def upload_again(self) -> None:
        """The same bytes, after whatever was wrong was mended."""
        self.modes.refusing = False
        self.scene.clock.move(3)
        self.event = self.scene.upload(KEY, self.way.data, {"call-id": "c-1"})

    async def ends(self) -> None:
        """The service ends what it has, and calls back, each time twice."""
        service = self.scene.service
        if service is None:
            return
        for number in range(1, len(service.orders) + 1):
            if f"task-{number:04d}" not in service.ends:
                service.end("hello", task=f"task-{number:04d}")
        for order in [*service.orders, *service.orders]:
            answer = await self.scene.call_back(order)
            assert answer.status_code in (200, 403, 410, 502, 503), answer.text

    async def come_again(self) -> None:
        """All that brings a job forward in production, more than once."""
        scene = self.scene
        for number in range(2):
            await tried(scene.deliver(self.event, request_id=f"1-again-{number}"))
        twins = (tried(scene.deliver(self.event, request_id=f"1-twin-{number}")) for number in range(2))
        await asyncio.gather(*twins)
        for seconds in (60.0, 60.0, EXPECTED_SECONDS, EXPECTED_SECONDS):
            await self.ends()
            scene.clock.move(seconds)
            await tried(scene.tick())


async def tried(work: Awaitable[Any]) -> None:
    """Something that will come again."""
    try:
        await work
    except IsiError:
        return


async def delivered(world: World) -> None:
    await world.scene.deliver(world.event)


async def called_back(world: World) -> None:
    await world.scene.deliver(world.event)
    await world.ends()


async def fresh_url(world: World) -> None:
    """The service cannot fetch the file in time, and gets another URL."""
    service = world.scene.service
    assert service is not None
    await world.scene.deliver(world.event)
    service.fail("nls.file_not_fetched", retryable=True)
    await world.scene.tick()
    service.end("hello", task="task-0002")
    await world.scene.tick()


async def failed_and_again(world: World) -> None:
    """Refused for good; the same bytes uploaded again, after whatever was wrong was mended."""
    world.modes.refusing = True
    await world.scene.deliver(world.event)
    world.upload_again()
    await world.scene.deliver(world.event)


WAYS = (
    Way("sentence with tokens and quota", SIDES, delivered, payments=2),
    Way("flash", SHORT, delivered, {"mode": "flash"}, payments=1),
    Way("realtime", SIDES, delivered, {"mode": "realtime"}, payments=2),
    Way("file by callback", SHORT, called_back, {"mode": "file"}, submissions=1, has_queue=True),
    Way("file with a fresh URL", SHORT, fresh_url, {"mode": "file"}, submissions=2, has_queue=True),
    Way(
        "failed, then uploaded again", SHORT, failed_and_again, {"mode": "flash"}, payments=1, states=("failed", "done")
    ),
)


async def calls_of_a_clean_run(way: Way) -> list[str]:
    world = World(way)
    await way.run(world)
    assert_ended_well(world)
    job = world.scene.job(KEY, way.data)
    assert tuple(str(each.terminal and each.terminal.verdict.state) for each in job.generations) == way.states
    assert len(world.modes.paid) == way.payments
    assert (len(world.scene.service.orders) if world.scene.service else 0) == way.submissions
    return world.wire.calls


def assert_ended_well(world: World) -> None:
    """One terminal record for each generation, its own bytes in place, and nothing left behind."""
    scene, data = world.scene, world.way.data
    job, types = scene.job(KEY, data), scene.types(KEY, data)
    assert types.count("received") == 1
    assert types.count("terminal") == types.count("published") == len(job.generations)
    assert scene.keys("open/") == scene.keys("work/") == []
    for generation in job.generations:
        terminal = generation.terminal
        assert terminal is not None
        assert generation.placed
        for name in terminal.verdict.files:
            made = scene.state.objects[f"attempts/{job.id}/{generation.number}/{terminal.attempt}/{name}"].data
            kind = name.rpartition(".")[2]
            assert scene.recordings.objects[f"{PLACE}/g{generation.number}/call 1.wav.{kind}"].data == made
            if generation is job.latest:
                assert scene.recordings.objects[f"{PLACE}.{kind}"].data == made
    terminal = job.latest.terminal
    assert terminal is not None
    assert terminal.verdict.state == "done"
    told = json.loads(scene.read(f"{PLACE}.json"))
    assert (told["job_id"], told["text"].split()) == (job.id, ["hello"] * max(1, world.way.payments))


@pytest.mark.parametrize("strike", STRIKES)
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_whatever_call_is_struck_there_is_one_outcome_with_its_own_files(way: Way, strike: Strike) -> None:
    calls = await calls_of_a_clean_run(way)
    for at in range(1, len(calls) + 1):
        world = World(way)
        world.wire.strike(at, strike)
        with contextlib.suppress(IsiError, Killed):
            await way.run(world)
        world.wire.revive()
        where = f"call {at} of {calls}: {strike}"
        try:
            await world.come_again()
            if world.modes.refusing:  # it did not come to the second upload
                world.upload_again()
                await world.come_again()
            assert_ended_well(world)
            assert_paid_as_known(world, calls, at, strike)
            paid = list(world.modes.paid)
            await world.scene.deliver(world.event)
            await world.scene.tick()
            assert world.modes.paid == paid, "paid again after the outcome"
            assert_ended_well(world)
        except (AssertionError, KeyError) as error:
            raise AssertionError(where) from error


def assert_paid_as_known(world: World, calls: list[str], at: int, strike: Strike) -> None:
    """Nothing is submitted twice unless nobody could know, which is counted; what is answered at once is paid twice at
    most, and only where its answer or what came of it was lost."""
    way = world.way
    terminal = world.scene.job(KEY, way.data).latest.terminal
    assert terminal is not None
    doubles = terminal.verdict.possible_double
    if not way.submissions:
        assert len(world.modes.paid) <= 2 * way.payments
        return
    service = world.scene.service
    assert service is not None
    is_doubled_by_the_network = strike == "twice" and calls[at - 1] == "submit"
    assert len(service.orders) <= way.submissions + doubles + is_doubled_by_the_network
    assert doubles <= int(is_between_submission_and_its_record(calls, at, strike)), "submitted again without need"


def is_between_submission_and_its_record(calls: list[str], at: int, strike: Strike) -> bool:
    """Whether a strike falls after an intent was written and before the task's name was."""
    submit = {number for number, name in enumerate(calls, start=1) if name == "submit"}
    if at in submit:
        return strike != "twice"
    return (at + 1 in submit and strike.endswith("after")) or (at - 1 in submit and strike.endswith("before"))


async def test_the_ways_make_every_kind_of_call() -> None:
    made = {call for way in WAYS for call in await calls_of_a_clean_run(way)}
    assert made >= {"head", "get", "tail", "put", "append", "copy", "delete", "list", "submit", "result"}
    assert made >= {"token", "spend", "recognise", "listen"}
