"""The prompts bucket with memory in front of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode

import pytest

from functions.prompts.cache import Cache, Health
from functions.prompts.stored import Stored, bound, metadata, moment
from functions.prompts.warm import Warm
from isikit.errors import DeadlineExceeded, IsiError, Overloaded, StorageError
from isikit.secrets import KeyRing
from isikit.stamps import rfc3339
from support.memory_store import MemoryStore, MovableClock, StoredObject

KEY = "p/acme/k1/pcm_s16le-8000.wav"
KEYS = "config/keys.json"


class Shelf:
    def __init__(self) -> None:
        self.oss, self.wall = MovableClock(), MovableClock(5.0)  # clocks need not agree
        self.store, self.state = MemoryStore("prompts", self.oss), MemoryStore("state", self.oss)
        self.have_masters(1)
        self.keys = self.ring()
        self.cache = self.another()

    def have_masters(self, version: int, *previous: int) -> None:
        def named(version: int) -> dict[str, object]:
            return {"version": version, "master": b64encode(bytes([version]) * 32).decode()}

        file = json.dumps({**named(version), "previous": [named(one) for one in previous]}).encode()
        self.state.objects[KEYS] = StoredObject(file, "application/json", {}, 0.0)

    def ring(self) -> KeyRing:
        return KeyRing(self.state, KEYS, clock=self.wall.now)

    def another(self, *, anew: bool = False) -> Cache:
        return Cache(self.store, Warm(), self.ring() if anew else self.keys, self.wall.now)

    async def entries(self, body: bytes) -> dict[str, str]:
        return bound(metadata(body, 7, "v", None), KEY, await self.keys.current())

    async def publish(self, body: bytes, *, expires_at: float | None = None, replace: bool = False) -> Stored:
        entries = metadata(body, 100, "xiaoyun", expires_at)
        return await self.cache.publish(KEY, body, "audio/wav", entries, replace=replace)

    def pass_time(self, seconds: float) -> None:
        self.oss.move(seconds)
        self.wall.move(seconds)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def test_the_first_writer_wins_and_the_second_gets_what_is_stored(shelf: Shelf) -> None:
    await shelf.publish(b"first")
    assert (await shelf.publish(b"second")).body == b"first"
    assert shelf.store.objects[KEY].data == b"first"


async def test_what_is_damaged_or_expired_is_written_over(shelf: Shelf) -> None:
    await shelf.publish(b"first", expires_at=shelf.oss.now() + 10)
    shelf.pass_time(11)
    assert (await shelf.publish(b"second")).body == b"second"
    shelf.store.objects[KEY] = StoredObject(b"rubbish", "audio/wav", shelf.store.objects[KEY].metadata, 0.0)
    assert (await shelf.another().audio(KEY)).health is Health.DAMAGED
    assert (await shelf.publish(b"third")).body == b"third"


async def test_when_both_of_two_first_writers_pass_the_stored_one_counts(shelf: Shelf) -> None:
    """OSS's overwrite rules allow that simultaneous first writes both pass."""
    other = b"the other's"
    put = shelf.store.put

    async def put_and_lose(*arguments: object, **options: object) -> object:
        info = await put(*arguments, **options)  # type: ignore[arg-type]
        shelf.store.objects[KEY] = StoredObject(other, "audio/wav", await shelf.entries(other), shelf.oss.now())
        return info

    shelf.store.put = put_and_lose  # type: ignore[method-assign, assignment]
    assert (await shelf.publish(b"ours")).body == other


async def test_an_instance_believes_itself_for_a_minute_of_wall_time(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    shelf.store.calls.clear()
    shelf.pass_time(59)
    assert (await shelf.cache.find(KEY)).health is Health.INTACT
    assert not shelf.store.calls
    shelf.pass_time(2)
    assert (await shelf.cache.audio(KEY)).intact is not None
    assert shelf.store.calls == {"head": 1}  # the bytes are still the same


async def test_a_wall_clock_set_back_does_not_keep_a_belief_alive(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    shelf.wall = MovableClock(0.0)
    shelf.cache._clock = shelf.wall.now
    shelf.store.calls.clear()
    await shelf.cache.find(KEY)
    assert shelf.store.calls == {"head": 1}


async def test_expiry_is_judged_by_osss_clock_and_goes_on_in_memory(shelf: Shelf) -> None:
    await shelf.publish(b"audio", expires_at=shelf.oss.now() + 30)
    assert (await shelf.cache.find(KEY)).health is Health.INTACT
    shelf.pass_time(30)
    assert (await shelf.cache.find(KEY)).health is Health.EXPIRED


async def test_bytes_are_proved_by_their_digest_on_every_load(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    kept = shelf.store.objects[KEY]
    shelf.store.objects[KEY] = StoredObject(b"audiO", kept.content_type, kept.metadata, kept.last_modified)
    look = await shelf.another().audio(KEY)
    assert (look.health, look.stored) == (Health.DAMAGED, None)


@pytest.mark.parametrize(
    "broken",
    [{}, {"sha256": "x"}, {"sha256": "0" * 64}, {"sha256": "0" * 64, "duration-ms": "x"}],
    ids=str,
)
async def test_what_has_no_digest_or_length_was_not_published_by_us(shelf: Shelf, broken: dict[str, str]) -> None:
    await shelf.store.put(KEY, b"audio", content_type="audio/wav", metadata=broken)
    assert (await shelf.cache.find(KEY)).health is Health.DAMAGED


async def test_an_end_that_cannot_be_read_is_damage_and_not_eternity(shelf: Shelf) -> None:
    entries = bound({**metadata(b"audio", 1, "v", None), "expires-at": "soon"}, KEY, await shelf.keys.current())
    await shelf.store.put(KEY, b"audio", content_type="audio/wav", metadata=entries)
    assert (await shelf.cache.find(KEY)).health is Health.DAMAGED


def self_made(key: str, body: bytes) -> str:
    """What whoever may write to the bucket, and knows the form, can compute."""
    digest = hashlib.sha256(body).hexdigest()
    return hashlib.sha256(f"{key}\n{digest}\n7\nv\n".encode()).hexdigest()


@pytest.mark.parametrize("form", ["{0}", "1.{0}", "9.{0}", "999.{0}", "0.{0}", "1.", "1.{0}0", "\u0661.{0}", ""])
async def test_planted_audio_is_damage_however_its_proof_was_made_up(shelf: Shelf, form: str) -> None:
    entries = {**metadata(b"planted", 7, "v", None), "bound": form.format(self_made(KEY, b"planted"))}
    shelf.store.objects[KEY] = StoredObject(b"planted", "audio/wav", entries, shelf.oss.now())
    assert (await shelf.cache.find(KEY)).health is Health.DAMAGED
    assert (await shelf.cache.audio(KEY)).stored is None
    assert (await shelf.publish(b"ours")).body == b"ours"


@pytest.mark.parametrize("change", [{"voice": "aixia"}, {"duration-ms": "1"}, {"expires-at": "2100-01-01T00:00:00Z"}])
async def test_what_is_said_of_the_audio_is_bound_with_it(shelf: Shelf, change: dict[str, str]) -> None:
    entries = {**await shelf.entries(b"audio"), **change}
    shelf.store.objects[KEY] = StoredObject(b"audio", "audio/wav", entries, shelf.oss.now())
    assert (await shelf.cache.audio(KEY)).health is Health.DAMAGED


async def test_a_rotated_master_still_proves_what_the_previous_one_bound_and_one_that_is_gone_does_not(
    shelf: Shelf,
) -> None:
    await shelf.publish(b"audio")
    shelf.have_masters(2, 1)
    assert (await shelf.another(anew=True).audio(KEY)).health is Health.INTACT
    shelf.have_masters(2)
    assert (await shelf.another(anew=True).audio(KEY)).health is Health.DAMAGED


async def test_what_an_instance_bound_that_heard_of_a_rotation_first_is_no_damage(shelf: Shelf) -> None:
    await shelf.keys.current()
    shelf.pass_time(3)
    shelf.have_masters(2, 1)
    ahead = shelf.another(anew=True)
    await ahead.publish(KEY, b"audio", "audio/wav", metadata(b"audio", 7, "v", None), replace=False)
    assert shelf.store.objects[KEY].metadata["bound"].startswith("2.")
    assert (await shelf.cache.audio(KEY)).health is Health.INTACT


async def test_the_keys_are_read_once_and_not_for_every_look(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    for _ in range(3):
        shelf.pass_time(61)
        await shelf.cache.find(KEY)
    assert shelf.state.calls == {"get": 1}


async def test_permanent_audio_in_memory_outlives_an_outage_and_that_of_a_day_does_not(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    shelf.pass_time(3600)
    shelf.store.fail("head", times=10)
    look = await shelf.cache.audio(KEY)
    assert look.intact is not None and look.intact.body == b"audio"
    shelf.store.heal()
    await shelf.publish(b"audio", expires_at=shelf.oss.now() + 86_400, replace=True)
    shelf.pass_time(3600)
    shelf.store.fail("head", times=10)
    with pytest.raises(StorageError):
        await shelf.cache.audio(KEY)


async def test_what_was_deleted_is_forgotten(shelf: Shelf) -> None:
    await shelf.publish(b"audio")
    await shelf.cache.delete(KEY)
    assert (await shelf.cache.find(KEY)).health is Health.MISSING


def stored(key: str, size: int) -> Stored:
    return Stored(key, size, "E", 0.0, "audio/wav", "0" * 64, 1, None, "v", 0.0, bytes(size))


def test_memory_is_bounded_by_bytes_and_gives_up_what_was_not_used_longest() -> None:
    warm = Warm(max_bytes=3 * 12_048)
    for name in "abc":
        warm.keep(stored(name, 10_000), 0.0)
    assert warm.fresh("a", 1.0) is not None
    warm.keep(stored("d", 10_000), 0.0)
    assert [name for name in "abcd" if warm.fresh(name, 1.0)] == ["a", "c", "d"]
    warm.keep(stored("huge", 100_000), 0.0)
    assert warm.fresh("huge", 1.0) is None and warm.fresh("a", 1.0) is not None


def test_memory_counts_a_replaced_entry_once() -> None:
    warm = Warm(max_bytes=2 * 12_048)
    for _ in range(10):
        warm.keep(stored("a", 10_000), 0.0)
    warm.keep(stored("b", 10_000), 0.0)
    assert warm.fresh("a", 1.0) is not None and warm.fresh("b", 1.0) is not None


def test_times_in_metadata_read_back_as_they_were_written() -> None:
    assert rfc3339(1_700_000_000.9) == "2023-11-14T22:13:20Z"
    assert moment("2023-11-14T22:13:20Z") == 1_700_000_000.0
    assert moment("2023-11-14 22:13:20") is None


async def test_while_oss_hangs_what_is_remembered_waits_for_it_once_and_not_for_long(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A player gives up within seconds, and some throw their own good copy away then."""
    monkeypatch.setattr("functions.prompts.cache._PATIENCE_SECONDS", 0.01)
    await shelf.publish(b"sound")
    asked = 0

    async def hang(key: str) -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    shelf.store.head = hang  # type: ignore[method-assign, assignment]
    shelf.pass_time(61)
    for _ in range(3):
        assert (await shelf.cache.audio(KEY)).intact is not None
    assert asked == 1
    shelf.pass_time(5)
    assert (await shelf.cache.audio(KEY)).intact is not None
    assert asked == 2


@pytest.mark.parametrize("error", [Overloaded, DeadlineExceeded])
async def test_when_no_thread_is_free_to_ask_oss_memory_answers(shelf: Shelf, error: type[IsiError]) -> None:
    await shelf.publish(b"sound")
    shelf.pass_time(61)
    shelf.store.fail("head", error=error)
    look = await shelf.cache.audio(KEY)
    assert look.stored is not None
    assert look.stored.body == b"sound"


async def test_another_prompts_audio_copied_to_this_key_is_damage_whatever_its_metadata_says(shelf: Shelf) -> None:
    await shelf.publish(b"this one's")
    said = metadata(b"somebody else", 100, "xiaoyun", None)
    entries = bound(said, KEY.replace("k1", "k2"), await shelf.keys.current())
    shelf.store.objects[KEY] = StoredObject(b"somebody else", "audio/wav", entries, shelf.oss.now())
    assert (await shelf.another().find(KEY)).health is Health.DAMAGED
    assert (await shelf.another().audio(KEY)).health is Health.DAMAGED
