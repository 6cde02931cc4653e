"""Key sets are kept: asked for rarely, by one at a time, and good for an hour while the issuer is away."""

from __future__ import annotations

import asyncio
import json

import pytest

from isikit.errors import IssuerUnavailable
from isikit.host import context
from isikit.host.context import Deadline, RequestContext
from isikit.identity import KeySets
from isikit.identity.fetching import FetchError
from isikit.identity.jwk import read
from support.issuer import key_set, public
from support.memory_store import MovableClock

URL = "https://issuer.example.com/keys"


class Web:
    """The issuer: what it answers, how often it was asked, and a gate to hold it up."""

    def __init__(self) -> None:
        self.document: bytes | None = key_set()
        self.asked = 0
        self.seconds: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.knocked = asyncio.Event()

    async def get(self, _: str, seconds: float) -> bytes:
        self.asked += 1
        self.seconds.append(seconds)
        if not self.gate.is_set():
            self.knocked.set()
        await asyncio.sleep(0)  # the others have their turn
        await self.gate.wait()
        if self.document is None:
            raise FetchError("unreachable")
        return self.document


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def sets(web: Web, clock: MovableClock) -> KeySets:
    return KeySets(get=web.get, clock=clock.now)


async def test_many_requests_ask_once(sets: KeySets, web: Web) -> None:
    found = await asyncio.gather(*(sets.find(URL, "RS256", "RS256") for _ in range(40)))
    assert web.asked == 1
    assert {len(keys) for keys in found} == {1}


async def test_it_is_asked_again_after_ten_minutes_and_the_others_do_not_wait(
    sets: KeySets, web: Web, clock: MovableClock
) -> None:
    await sets.find(URL, "RS256", "RS256")
    clock.move(599)
    await sets.find(URL, "RS256", "RS256")
    assert web.asked == 1
    clock.move(2)
    web.gate.clear()
    first = asyncio.create_task(sets.find(URL, "RS256", "RS256"))
    await web.knocked.wait()
    assert await sets.find(URL, "RS256", "RS256"), "goes on with what is there"
    web.gate.set()
    assert await first
    assert web.asked == 2


async def test_an_unknown_key_id_asks_again_once_a_minute_at_most(sets: KeySets, web: Web, clock: MovableClock) -> None:
    assert await sets.find(URL, "new", "RS256") == ()
    for number in range(50):
        assert await sets.find(URL, f"invented-{number}", "RS256") == ()
    assert web.asked == 1
    clock.move(61)
    web.document = key_set(public("RS256", "new"))
    found = await asyncio.gather(*(sets.find(URL, "new", "RS256") for _ in range(20)))
    assert {len(keys) for keys in found} == {1}, "all of them wait for the one who asks"
    assert web.asked == 2


async def test_while_the_issuer_is_away_its_keys_serve_for_an_hour(
    sets: KeySets, web: Web, clock: MovableClock
) -> None:
    await sets.find(URL, "RS256", "RS256")
    web.document = None
    clock.move(3599)
    assert await sets.find(URL, "RS256", "RS256")
    assert web.asked == 2
    assert await sets.find(URL, "RS256", "RS256")
    assert web.asked == 2, "not at every request"
    clock.move(2)
    with pytest.raises(IssuerUnavailable):
        await sets.find(URL, "RS256", "RS256")
    web.document = key_set()
    clock.move(11)
    assert await sets.find(URL, "RS256", "RS256")


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null, {}]}', b"\xff", b"[" * 9999]
)
async def test_what_is_no_key_set_does_not_replace_one(
    sets: KeySets, web: Web, clock: MovableClock, document: bytes
) -> None:
    await sets.find(URL, "RS256", "RS256")
    web.document = document
    clock.move(601)
    assert await sets.find(URL, "RS256", "RS256")
    with pytest.raises(IssuerUnavailable):
        await sets.find(URL + "2", "RS256", "RS256")


async def test_a_clock_that_was_set_back_makes_nothing_last_longer(web: Web) -> None:
    now = 1_700_000_000.0
    sets = KeySets(get=web.get, clock=lambda: now)
    await sets.find(URL, "RS256", "RS256")
    now -= 86_400
    await sets.find(URL, "RS256", "RS256")
    assert web.asked == 2


async def test_asking_takes_no_longer_than_the_request_has(sets: KeySets, web: Web) -> None:
    with context.entered(RequestContext("1", Deadline.after(1.5))):
        await sets.find(URL, "RS256", "RS256")
    await sets.find(URL + "2", "RS256", "RS256")
    assert web.seconds[0] <= 1.5
    assert web.seconds[1] == 3.0


async def test_one_who_gives_up_does_not_leave_the_others_without(sets: KeySets, web: Web) -> None:
    web.gate.clear()
    first = asyncio.create_task(sets.find(URL, "RS256", "RS256"))
    second = asyncio.create_task(sets.find(URL, "RS256", "RS256"))
    await web.knocked.wait()
    first.cancel()
    web.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second
    assert web.asked == 2


def test_private_parts_in_a_set_are_not_taken_over() -> None:
    import jwt

    from support.issuer import private

    entry = jwt.algorithms.RSAAlgorithm.to_jwk(private("RS256"), as_dict=True) | {"kid": "leaked", "use": "sig"}
    entry.pop("key_ops", None)
    (key,) = read(json.dumps({"keys": [entry]}).encode())
    assert not hasattr(key.key, "private_numbers")
