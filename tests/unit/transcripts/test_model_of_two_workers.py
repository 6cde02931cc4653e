"""Two workers on one recording in file mode, every interleaving (enumerated, not sampled), with deaths anywhere.

The workers are the product's own `recording.resume`, step by step: a worker's turn ends before each of its calls that
others go by, which are those to the job's journal, to the service's queue, and the first that publishes. A call's
effect and its answer are one turn. At any place hours may pass, so that a claim and the patience with the service are
over, or a worker may die: before a call, which is after the effect of the one before. Claims are not prolonged: that
only makes them safer. The search goes through every reachable state once; what a worker knows and where it stands
follows from the answers it got, so these are its state.

Two starts: nobody has begun, and the service has ended the task. After the search's every last step, what is left is
finished by a third worker, who meets no trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from functions.transcripts import handover, recording, under_claim
from functions.transcripts.events import Created
from functions.transcripts.job import Job
from functions.transcripts.process import FileQueue, Transcripts
from isikit import journal
from isikit.errors import IsiError
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.secrets import KeyRing
from support.memory_store import MemoryStore, StoredObject
from support.steps import Stepped, turn
from unit.transcripts.scene import BUCKET, Scene, Service, etag_of, mono, speech

KEY = "in/acme/a.wav"
CALL = mono(speech(20))
TICKS = 1
MISHAPS = 1
TICK_SECONDS = 4 * 3600.0
SEEN_BY_OTHERS = ("jobs/", "transcripts/acme/a.wav.json")


@dataclass
class Telling:
    """What one worker was answered, as a digest, and how often it wrote."""

    digest: bytes = b""
    nonces: Iterator[int] = field(default_factory=itertools.count)

    def told(self, answer: object) -> None:
        self.digest = hashlib.sha256(self.digest + repr(answer).encode()).digest()


class TurnStore(MemoryStore):
    """Waits for its turn before what others can notice."""

    def __init__(self, store: MemoryStore, telling: Telling) -> None:
        super().__init__(store.bucket, store.clock, dict(store.cloud), objects=store.objects)
        self._telling = telling

    async def _call(self, operation: Any, key: str, effect: Callable[[], Any]) -> Any:
        is_seen = key.startswith(SEEN_BY_OTHERS)
        if is_seen:
            await turn()
        try:
            answer = await super()._call(operation, key, effect)
        except IsiError as error:
            self._telling.told((operation, key, error.code))
            raise
        if is_seen:
            self._telling.told((operation, key, answer))
        return answer


class TurnQueue:
    """The service's queue, a turn before each call."""

    def __init__(self, service: Service, telling: Telling) -> None:
        self._service, self._telling = service, telling

    async def submit(self, *arguments: Any) -> str:
        await turn()
        task = await self._service.submit(*arguments)
        self._telling.told(task)
        return task

    async def result(self, *arguments: Any) -> Any:
        await turn()
        answer = await self._service.result(*arguments)
        self._telling.told(answer)
        return answer


class World:
    """A recording, two workers, and what they share."""

    def __init__(self, start: World.Start) -> None:
        self.scene = start.scene()
        self.service = self.scene.service
        assert self.service is not None
        self.identifier = start.identifier
        self.tellings = [Telling(), Telling()]
        self.workers = [Stepped(self._resume(number)) for number in range(2)]
        for number in range(2):
            self._step(number)
        self.ticks = self.mishaps = 0

    @dataclass
    class Start:
        """Where a search begins: copied for each path."""

        clock: float
        recordings: dict[str, StoredObject]
        state: dict[str, StoredObject]
        service: Service
        identifier: str

        def scene(self) -> Scene:
            scene = Scene()
            scene.clock.move(self.clock - scene.clock.now())
            scene.recordings.objects.update(self.recordings)
            scene.state.objects.update(self.state)
            scene.service = replace(self.service, orders=list(self.service.orders), ends=dict(self.service.ends))
            return scene

    def _process(self, number: int) -> Transcripts:
        """A worker's own process."""
        telling = self.tellings[number]
        self.scene.service_of = lambda service: TurnQueue(service, telling)
        return replace(
            self.scene.process(),
            state=TurnStore(self.scene.state, telling),
            recordings=TurnStore(self.scene.recordings, telling),
            pause=no_pause,
        )

    async def _resume(self, number: int) -> None:
        with contextlib.suppress(IsiError):
            await recording.resume(self.identifier, self._process(number), Deadline.after(600), f"worker-{number}")

    def _step(self, number: int) -> None:
        CURRENT[:] = [f"{number}-", self.tellings[number]]
        self.workers[number].step()

    def actions(self) -> list[tuple[str, int]]:
        possible = []
        for number, worker in enumerate(self.workers):
            if worker.alive:
                possible.append(("step", number))
                if self.mishaps < MISHAPS:
                    possible.append(("die", number))
        if self.ticks < TICKS and possible:
            possible.append(("tick", 0))
        return possible

    def act(self, action: tuple[str, int]) -> None:
        what, number = action
        if what == "tick":
            self.ticks += 1
            self.scene.clock.move(TICK_SECONDS)
            return
        if what == "die":
            self.mishaps += 1
            self.workers[number].kill()
        else:
            self._step(number)

    def job(self) -> Job:
        return self.scene.job(KEY, CALL)

    def lying(self) -> tuple[object, ...]:
        """What is left to a third, who knows nothing of the workers."""
        assert self.service is not None
        lying = [
            hashlib.sha256(repr(sorted((key, one.data) for key, one in store.objects.items())).encode()).digest()
            for store in (self.scene.state, self.scene.recordings)
        ]
        return self.ticks, self.mishaps, len(self.service.orders), *lying

    def state(self) -> object:
        """All that decides what can happen."""
        workers = [(worker.alive, telling.digest) for worker, telling in zip(self.workers, self.tellings, strict=True)]
        return (*self.lying(), *workers)

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()

    def assert_sound(self) -> None:
        """What holds at every moment."""
        types = self.scene.types(KEY, CALL)
        assert types.count("terminal") <= 1
        assert types.count("published") <= 1
        job = self.job()
        latest = job.latest
        assert self.service is not None
        assert len(self.service.orders) <= len(latest.submissions), "submitted without an intent"
        assert sum(not each.possible_double for each in latest.submissions) <= 1, "submitted again, and not counted"
        self._assert_own_files(job)
        if not latest.published:
            assert self.scene.keys("open/"), "nobody would come for it"

    def _assert_own_files(self, job: Job) -> None:
        published = self.scene.recordings.objects.get("transcripts/acme/a.wav.json")
        if published is not None:
            terminal = job.latest.terminal
            assert terminal is not None
            made = self.scene.state.objects[f"attempts/{job.id}/1/{terminal.attempt}/transcript.json"]
            assert published.data == made.data

    async def finish(self) -> None:
        """A third comes, and comes again."""
        assert self.service is not None
        self.scene.service_of = lambda service: service
        for _ in range(4):
            self.service.end("hello")
            self.scene.clock.move(TICK_SECONDS)
            await recording.resume(self.identifier, self.scene.process(), Deadline.after(600), "third")
        self.assert_sound()
        types = self.scene.types(KEY, CALL)
        assert (types.count("terminal"), types.count("published")) == (1, 1)
        assert self.scene.keys("open/") == self.scene.keys("work/") == []
        terminal = self.job().latest.terminal
        assert terminal is not None
        if terminal.verdict.state != "done":  # a worker slept for hours, and then the one after it died
            assert terminal.verdict.reason == "recording.task_lost"
            assert (self.ticks, self.mishaps, terminal.verdict.possible_double) == (TICKS, MISHAPS, 1)


CURRENT: list[Any] = ["x-", Telling()]


async def no_pause(_: float) -> None:
    """Waits not at all."""


def nonce() -> str:
    """The same on the same path."""
    return f"{CURRENT[0]}{next(CURRENT[1].nonces)}"


async def unprolonged(
    work: Coroutine[Any, Any, Any], renewals: Coroutine[Any, Any, Any], deadline: Deadline
) -> Awaitable[Any]:
    """In place of `_claimed`, which runs both side by side on a loop."""
    renewals.close()
    try:
        return await work  # type: ignore[no-any-return]
    finally:
        work.close()


async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    """In place of `asyncio.to_thread`, whose thread would need a loop to come back to."""
    return work(*arguments)


async def one_by_one(calls: Any) -> None:
    """In place of `side_by_side`."""
    for call in calls:
        await call


class Tenants:
    """As they were read."""

    def __init__(self, known: Any) -> None:
        self._known = known

    async def current(self) -> Any:
        return self._known


def start(monkeypatch: pytest.MonkeyPatch, *, ended: bool) -> World.Start:
    """A recording that was announced, or one whose task has ended."""
    scene = Scene()
    scene.tenants(({"prefix": "", "mode": "file"},), acme={8000: "narrow"})
    service = scene.with_queue()
    event = scene.upload(KEY, CALL)

    async def begin() -> Any:
        if not ended:
            created = Created(BUCKET, KEY, etag_of(CALL), len(CALL), {})
            assert await recording.announce(created, scene.process(), "sweep", Deadline.after(600))
        else:
            await scene.deliver(event)
            service.end("hello")
        return await scene.process().tenants.current()

    tenants = Tenants(asyncio.run(begin()))
    keys = asyncio.run(KeyRing(scene.state).current())
    monkeypatch.setattr(under_claim, "_claimed", unprolonged)
    monkeypatch.setattr(handover, "asyncio", SimpleNamespace(to_thread=at_once))
    monkeypatch.setattr("functions.transcripts.publish.side_by_side", one_by_one)
    monkeypatch.setattr("functions.transcripts.job_journal.Journal", journal_with_nonces)
    monkeypatch.setattr(Scene, "process", with_known(Scene.process, tenants, keys))
    return World.Start(
        scene.clock.now(), scene.recordings.objects, scene.state.objects, service, scene.job(KEY, CALL).id
    )


def journal_with_nonces(*arguments: Any, **named: Any) -> journal.Journal:
    return journal.Journal(*arguments, **named, new_nonce=nonce)


def with_known(process: Callable[[Scene], Transcripts], tenants: Tenants, keys: Any) -> Callable[[Scene], Transcripts]:
    """Processes that need not read their tenants and keys."""

    class Keys:
        async def current(self) -> Any:
            return keys

    def made(scene: Scene) -> Transcripts:
        one = process(scene)
        assert isinstance(one.queue, FileQueue)
        return replace(one, tenants=tenants, queue=replace(one.queue, keys=Keys()))

    return made


@pytest.mark.parametrize("ended", [False, True], ids=["to be submitted", "to be finished"])
def test_two_workers_in_any_order_come_to_one_outcome(monkeypatch: pytest.MonkeyPatch, ended: bool) -> None:
    begun = start(monkeypatch, ended=ended)
    seen: set[object] = set()
    ends: set[object] = set()
    waiting: list[tuple[tuple[str, int], ...]] = [()]
    with context.entered(RequestContext("1-model", Deadline.after(600))):
        while waiting:
            path = waiting.pop()
            world = World(begun)
            for action in path:
                world.act(action)
            while (state := world.state()) not in seen:
                seen.add(state)
                world.assert_sound()
                here, *others = world.actions() or [None]
                waiting.extend((*path, action) for action in others if action is not None)
                if here is None:
                    if (left := world.lying()) not in ends:
                        ends.add(left)
                        asyncio.run(world.finish())
                    break
                path = (*path, here)
                world.act(here)
            world.close()
    assert len(seen) > 500, "the search went nowhere"
    assert len(ends) > 10, "it hardly ever came to an end"
