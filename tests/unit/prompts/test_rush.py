"""Many instances, one new prompt: one works, the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from functions.prompts import rush
from isikit import claims
from isikit.errors import DeadlineExceeded, SpeechError
from isikit.host.context import Deadline
from isikit.journal import Journal
from support.memory_store import MemoryStore
from support.prompting import Instance, World

WORDS = {"text": "您好，欢迎致电。"}


class Rush:
    """Instances on one journal, whose pauses move the clock."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.result: str | None = None
        self.worked = 0

    async def pause(self, seconds: float) -> None:
        self.store.clock.move(seconds)
        await asyncio.sleep(0)

    async def ready(self) -> str | None:
        return self.result

    async def work(self) -> str:
        self.worked += 1
        for _ in range(20):
            await asyncio.sleep(0)
        self.result = "done"
        return self.result

    async def alone(
        self,
        owner: str,
        work: Callable[[], Awaitable[str]] | None = None,
        seconds: float = 10,
        pause: Callable[[float], Awaitable[None]] | None = None,
    ) -> tuple[str, bool]:
        journal = Journal(self.store, "claims/x.jsonl")
        return await rush.alone(
            journal,
            owner,
            Deadline.after(seconds),
            snapshot=await journal.read(),
            ready=self.ready,
            work=lambda _: (work or self.work)(),
            pause=pause or self.pause,
        )


async def test_one_works_and_the_others_get_what_it_made() -> None:
    scene = Rush()
    results = await asyncio.gather(*(scene.alone(f"i-{number}", pause=asyncio.sleep) for number in range(20)))
    assert {result for result, _ in results} == {"done"}
    assert (scene.worked, sum(led for _, led in results)) == (1, 1)


async def test_after_a_failure_the_next_one_tries() -> None:
    scene = Rush()

    async def failing() -> str:
        raise SpeechError

    with pytest.raises(SpeechError):
        await scene.alone("i-1", failing)
    assert await scene.alone("i-2") == ("done", True)


async def test_a_claim_of_one_who_died_is_taken_over_when_it_is_past() -> None:
    scene = Rush()
    await claims.take(Journal(scene.store, "claims/x.jsonl"), "dead", rush.CLAIM_SECONDS)
    begun_at = scene.store.clock.now()
    assert await scene.alone("i-2") == ("done", True)
    assert scene.store.clock.now() - begun_at >= rush.CLAIM_SECONDS


async def test_who_runs_out_of_time_while_others_work_says_so() -> None:
    scene = Rush()
    await claims.take(Journal(scene.store, "claims/x.jsonl"), "slow", 3600)
    with pytest.raises(DeadlineExceeded):
        await scene.alone("i-2", seconds=0)


async def test_a_claim_lives_on_while_the_work_lasts() -> None:
    scene = Rush()
    steps = asyncio.Queue[float]()

    async def stepwise(seconds: float) -> None:
        await steps.put(seconds)
        await steps.join()

    async def long_work() -> str:
        for _ in range(8):  # 40 s in all, and the claim is for 15
            seconds = await steps.get()
            held = await claims.take(Journal(scene.store, "claims/x.jsonl"), "other", 1)
            assert isinstance(held, claims.Held)
            scene.store.clock.move(seconds)
            steps.task_done()
        return "done"

    assert await scene.alone("i-1", long_work, pause=stepwise) == ("done", True)


async def test_a_cancelled_worker_gives_its_claim_back() -> None:
    scene = Rush()
    begun = asyncio.Event()

    async def endless() -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(scene.alone("i-1", endless, pause=asyncio.sleep))
    await begun.wait()
    task.cancel()
    await asyncio.wait((task,))
    assert isinstance(await claims.take(Journal(scene.store, "claims/x.jsonl"), "next", 1), claims.Claim)


async def test_a_claim_that_the_work_gives_back_is_free_at_once_and_given_back_once() -> None:
    scene, journal = Rush(), Journal(store := MemoryStore(), "claims/x.jsonl")

    async def early(release: rush.Release) -> str:
        await release()
        assert isinstance(await claims.take(Journal(store, "claims/x.jsonl"), "next", 1), claims.Claim)
        return "done"

    given = await rush.alone(
        journal, "i-1", Deadline.after(10), snapshot=await journal.read(), ready=scene.ready, work=early
    )
    assert given == ("done", True)
    assert sum("released" in record for record in (await journal.read()).records) == 1


async def test_what_somebody_finished_between_the_look_and_the_journal_is_not_made_again() -> None:
    scene, journal = Rush(), Journal(store := MemoryStore(), "claims/x.jsonl")
    other = await claims.take(Journal(store, "claims/x.jsonl"), "other", 15)
    assert isinstance(other, claims.Claim)
    await other.release()
    scene.result = "theirs"  # published after our look, and before we read the journal
    given = await rush.alone(
        journal,
        "i-1",
        Deadline.after(10),
        snapshot=await journal.read(),
        ready=scene.ready,
        work=lambda _: scene.work(),
    )
    assert given == ("theirs", False)


async def test_who_lost_the_claim_looks_again_before_the_next_try() -> None:
    scene, journal = Rush(), Journal(store := MemoryStore(), "claims/x.jsonl")
    snapshot = await journal.read()
    other = await claims.take(Journal(store, "claims/x.jsonl"), "other", 15)
    assert isinstance(other, claims.Claim)
    scene.result = "theirs"
    await other.release()
    given = await rush.alone(
        journal, "i-1", Deadline.after(10), snapshot=snapshot, ready=scene.ready, work=lambda _: scene.work()
    )
    assert given == ("theirs", False)


async def test_fifty_requests_over_two_instances_cost_one_synthesis_and_get_one_url(world: World) -> None:
    instances = [world.instance(), world.instance()]
    answers = await asyncio.gather(*(instances[number % 2].post(WORDS) for number in range(50)))
    got = [answer.json() for answer in answers]
    assert {answer.status for answer in answers} == {200}
    assert len(world.speaker.said) == 1
    assert len({each["url"] for each in got}) == 1
    assert sorted({each["cache"] for each in got}) in (["coalesced", "miss"], ["coalesced", "hit", "miss"])
    assert [each["cache"] for each in got].count("miss") == 1
    assert sum(each["billed"]["calls"] for each in got) == 1


async def test_fifty_requests_for_renditions_of_one_prompt_cost_one_synthesis(world: World, instance: Instance) -> None:
    kinds = [{"consumer": "asterisk"}, {"encoding": "mp3"}, {"encoding": "alaw"}, {}, {"consumer": "amazon-connect"}]
    answers = await asyncio.gather(*(instance.post({**WORDS, **kinds[number % 5]}) for number in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert (len(world.speaker.said), len({answer.json()["url"] for answer in answers})) == (1, 5)
    assert sum(answer.json()["billed"]["calls"] for answer in answers) == 1


async def test_a_failure_of_the_one_that_works_reaches_those_who_wait_in_its_instance(
    world: World, instance: Instance
) -> None:
    world.speaker.error = SpeechError
    answers = await asyncio.gather(*(instance.post(WORDS) for _ in range(10)))
    assert {(answer.status, answer.json()["code"]) for answer in answers} == {(502, "nls.failed")}
    assert len(world.speaker.said) == 1


async def test_those_who_wait_in_another_instance_try_again_themselves(world: World) -> None:
    first, second = world.instance(), world.instance()
    world.speaker.gate, world.speaker.error = asyncio.Event(), SpeechError
    failing = asyncio.create_task(first.post(WORDS))
    await world.speaker.began(1)
    following = asyncio.create_task(second.post(WORDS))
    world.speaker.gate.set()
    assert (await failing).status == 502
    world.speaker.error = None
    assert (await following).json()["cache"] == "miss"
    assert len(world.speaker.said) == 2


async def test_one_who_goes_away_takes_nothing_from_those_who_wait_with_him(world: World, instance: Instance) -> None:
    world.speaker.gate = asyncio.Event()
    impatient = asyncio.create_task(instance.post({**WORDS, "wait_ms": 30}))
    await world.speaker.began(1)
    patient = asyncio.create_task(instance.post(WORDS))
    assert (await impatient).status == 202
    world.speaker.gate.set()
    assert (await patient).status == 200
    assert len(world.speaker.said) == 1


async def test_a_claim_that_cannot_be_given_back_in_time_hides_neither_result_nor_error() -> None:
    crowd = Rush()
    crowd.store.fail("append", nth=2, error=DeadlineExceeded)

    async def fail() -> str:
        raise SpeechError

    with pytest.raises(SpeechError):
        await crowd.alone("a", work=fail)
    crowd.store.clock.move(rush.CLAIM_SECONDS + 1)
    crowd.store.fail("append", nth=2, error=DeadlineExceeded)
    assert await crowd.alone("b") == ("done", True)
