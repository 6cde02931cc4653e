"""Two workers and a clock, every interleaving (enumerated, not sampled), with a death or a lost answer anywhere.

A worker's turn ends before each of its calls to OSS, so that the other and the clock may go on between what it was told
and what it does next; a call's effect and its answer are one turn, because a later answer only shortens what its worker
believes. The search goes through every reachable state once; a state is the journal, the clock, and where in the code
each worker stands with what in its variables.

Enumerated: both workers run the same script (take and renew; take, write the outcome, give back), with claims of 1 s;
at any place up to 2 ticks of 1 s (a claim ends, and so does the one after it), and one mishap: a worker dies before a
call, dies after its effect, or does not hear the answer. The workers differ in nothing but their names, so a state and
the one with the names exchanged are one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest

from isikit.claims import Claim, ClaimLost, take
from isikit.errors import StorageError
from isikit.journal import Journal, Snapshot
from isikit.objects import Tail
from support.memory_store import MemoryStore, MovableClock, StoredObject
from support.steps import Stepped, turn

KEY = "claims/t/1.jsonl"
LIFE_SECONDS = 1
TICKS = 2
MISHAPS = 1
NAMES = "QZ"  # letters that nothing else in a state is written with
EXCHANGE = str.maketrans(NAMES, NAMES[::-1])


class Unclear(StorageError):
    """No answer: it may or may not have happened."""

    retryable = True


class TurnStore(MemoryStore):
    """Waits for its turn, and can lose an answer."""

    def __init__(self, clock: MovableClock, objects: dict[str, StoredObject]) -> None:
        super().__init__(clock=clock, objects=objects)
        self.lose_answer = False

    async def _call(self, operation, key, effect):
        await turn()
        answer = await super()._call(operation, key, effect)
        if self.lose_answer:
            raise Unclear
        return answer


async def no_pause(_: float) -> None:
    """Waits not at all."""


class Worker:
    """Takes the claim, renews it, writes its outcome, gives it back. Believes to be the owner until `until`."""

    def __init__(self, name: str, script: str, clock: MovableClock, objects: dict[str, StoredObject]) -> None:
        self.name = name
        self.script = script
        self.store = TurnStore(clock, objects)
        self.until = 0.0
        self.nonces = 0
        self.stepped = Stepped(self._work())
        self.stepped.step()  # up to its first call, which is its first turn

    def _nonce(self) -> str:
        self.nonces += 1
        return f"{self.name}{self.nonces}"

    async def _work(self) -> None:
        journal = Journal(self.store, KEY, new_nonce=self._nonce, pause=no_pause)
        try:
            claim = await take(journal, self.name, LIFE_SECONDS)
        except StorageError:
            return
        if not isinstance(claim, Claim):
            return
        self.until = claim.until
        try:
            for _ in range(self.script.count("renew")):
                with contextlib.suppress(Unclear):
                    await claim.renew(LIFE_SECONDS)
                    self.until = claim.until
            if "outcome" in self.script:
                with contextlib.suppress(Unclear):
                    await claim.append({"done": self.name})
        except ClaimLost:
            return
        finally:
            self.until = 0.0
        if "release" in self.script:
            with contextlib.suppress(Unclear):
                await claim.release()

    def state(self) -> object:
        """Where in the code it stands, and what it knows there."""
        frames, waiting_in = [], self.stepped.coroutine
        while (frame := getattr(waiting_in, "cr_frame", None)) is not None:
            known = tuple(sorted((name, shown(value)) for name, value in frame.f_locals.items()))
            frames.append((frame.f_code.co_name, frame.f_lasti, known))
            waiting_in = waiting_in.cr_await
        return self.stepped.alive, self.until, self.nonces, tuple(frames)


def shown(value: object) -> str:
    """What of a local variable makes a difference."""
    if isinstance(value, Claim):
        return repr((value.until, value.snapshot))
    if isinstance(value, int | float | str | bytes | dict | Snapshot | Tail | StorageError | None):
        return repr(value)
    return ""


class World:
    def __init__(self, script: str) -> None:
        self.clock = MovableClock(1000.0)
        self.objects: dict[str, StoredObject] = {}
        self.workers = [Worker(name, script, self.clock, self.objects) for name in NAMES]
        self.ticks = self.mishaps = 0

    def actions(self) -> list[tuple[str, int]]:
        possible = [("tick", 0)] if self.ticks < TICKS else []
        for index, worker in enumerate(self.workers):
            if worker.stepped.alive:
                possible.append(("step", index))
                if self.mishaps < MISHAPS:
                    possible += [("die", index), ("lose the answer", index), ("act and die", index)]
        return possible

    def act(self, action: tuple[str, int]) -> None:
        what, index = action
        worker = self.workers[index]
        if what == "tick":
            self.ticks += 1
            self.clock.move(1)
            return
        self.mishaps += what != "step"
        worker.store.lose_answer = what == "lose the answer"
        if what != "die":
            worker.stepped.step()
        if what in ("die", "act and die"):
            worker.stepped.kill()
            worker.until = 0.0

    def owners(self) -> list[str]:
        return [worker.name for worker in self.workers if worker.until > self.clock.now()]

    def records(self) -> list[dict[str, object]]:
        data = self.objects[KEY].data if KEY in self.objects else b""
        return [json.loads(line) for line in data.splitlines()]

    def state(self) -> object:
        data = self.objects[KEY].data.decode() if KEY in self.objects else ""
        workers = [repr(worker.state()) for worker in self.workers]
        exchanged = [one.translate(EXCHANGE) for one in (data, *reversed(workers))]
        return self.ticks, self.mishaps, *min([data, *workers], exchanged)


@contextlib.contextmanager
def reached(script: str, path: tuple[tuple[str, int], ...]) -> Iterator[World]:
    world = World(script)
    try:
        for action in path:
            world.act(action)
        yield world
    finally:
        for worker in world.workers:
            worker.stepped.kill()


def outcomes_stand_under_their_own_claim(records: list[dict[str, object]]) -> bool:
    owner = None
    for record in records:
        owner = record.get("claim", owner)
        if "done" in record and record["done"] != owner:
            return False
    return True


@pytest.mark.parametrize("script", ["take renew", "take outcome release"])
def test_never_two_owners_at_one_time_and_no_outcome_under_anothers_claim(script: str) -> None:
    seen: set[object] = set()
    waiting: list[tuple[tuple[str, int], ...]] = [()]
    takeovers = 0
    while waiting:
        path = waiting.pop()
        with reached(script, path) as world:
            # A coroutine cannot be copied: one way on is taken right here, the others are walked anew from the start.
            while (state := world.state()) not in seen:
                seen.add(state)
                assert len(world.owners()) <= 1, path
                records = world.records()
                assert outcomes_stand_under_their_own_claim(records), path
                takeovers += len({record["claim"] for record in records if "claim" in record}) == 2
                here, *others = world.actions() or [None]
                waiting.extend((*path, action) for action in others)
                if here is None:
                    break
                path = (*path, here)
                world.act(here)
    assert len(seen) > 2000, "the search went nowhere"
    assert takeovers > 500, "the claims never met"
