"""File recognition: orders, ends of tasks, and above all what is known after a failure, against a real POP server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from contract.nls.conftest import CHINESE, served, until
from isikit.credentials import Credentials
from isikit.errors import DeadlineExceeded, IsiError, SpeechError
from isikit.host.context import Deadline
from isikit.nls.filetrans import (
    Failed,
    FileOrder,
    Filetrans,
    Finished,
    SubmissionUnclear,
    TaskAnswer,
    Unfinished,
    signature,
)
from localcloud import pop
from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.engines.tone import ToneEngine
from localcloud.faults import Faults
from support import recordings

VECTOR = {
    "AccessKeyId": "testid",
    "Action": "CreateToken",
    "Version": "2019-02-28",
    "Format": "JSON",
    "RegionId": "cn-shanghai",
    "Timestamp": "2019-04-18T08:32:31Z",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureVersion": "1.0",
    "SignatureNonce": "b924c8c3-6d03-4c5d-ad36-d984d3116788",
}


@dataclass
class Pop:
    """A POP server with its file recognition, a shelf of files beside it, and our client in front."""

    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    limits: pop.FileLimits = field(default_factory=pop.FileLimits)
    files: dict[str, bytes] = field(default_factory=dict)
    called: list[bytes] = field(default_factory=list)
    pop_port: int = 0
    shelf_port: int = 0

    def __post_init__(self) -> None:
        self.account = Account(self.clock)
        self.appkey = self.account.add_project(sample_rate_hz=16000).appkey

    def client(self, port: int = 0) -> Filetrans:
        role = self.account.open_session("acs:ram::1:role/asr/x")
        credentials = Credentials({})
        credentials.update(
            {
                "x-fc-access-key-id": role.access_key_id,
                "x-fc-access-key-secret": role.access_key_secret,
                "x-fc-security-token": role.security_token,
            }
        )
        return Filetrans(f"http://127.0.0.1:{port or self.pop_port}", "cn-beijing", credentials)

    def order(self, data: bytes | None = None, **changes: object) -> FileOrder:
        self.files["a.wav"] = recordings.encoded("wav", recordings.speech(CHINESE)) if data is None else data
        url = f"http://127.0.0.1:{self.shelf_port}/a.wav"
        values: dict[str, object] = {"appkey": self.appkey, "url": url, "first_channel_only": True, "adaptive": False}
        return FileOrder(**{**values, **changes})  # type: ignore[arg-type]

    def shelf(self) -> web.Application:
        async def give(request: web.Request) -> web.Response:
            return web.Response(body=self.files[request.match_info["name"]])

        async def take(request: web.Request) -> web.Response:
            self.called.append(await request.read())
            return web.Response()

        app = web.Application()
        app.router.add_get("/{name}", give)
        app.router.add_post("/called", take)
        return app


@pytest.fixture
async def there() -> AsyncIterator[Pop]:
    one = Pop()
    app = pop.make_app(one.account, one.faults, one.clock, ToneEngine(), limits=one.limits)
    async with served(one.shelf()) as one.shelf_port, served(app) as one.pop_port:
        yield one


@pytest.fixture
async def client(there: Pop) -> AsyncIterator[Filetrans]:
    made = there.client()
    yield made
    await made.close()


def soon(seconds: float = 20) -> Deadline:
    return Deadline.after(seconds)


async def ended(there: Pop, client: Filetrans, task: str) -> TaskAnswer:
    """Ask as often as is allowed until the task has ended; the server's clock moves, not ours."""
    for _ in range(500):
        there.clock.move(1.1)
        answer = await client.result(task, soon())
        if not isinstance(answer, Unfinished):
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError("the task never ended")


@pytest.mark.parametrize(
    ("method", "expected"), [("GET", "z/FNfgKM5ti04NXV7KI4xbqt5tI="), ("POST", "YVSeOJAiTI4tf75Pm1dAbzjcIdU=")]
)
def test_signatures_are_those_of_the_core_sdk(method: str, expected: str) -> None:
    assert signature(method, VECTOR, "testsecret") == expected


async def test_a_file_becomes_sentences_with_words(there: Pop, client: Filetrans) -> None:
    url = f"http://127.0.0.1:{there.shelf_port}/called"
    task = await client.submit(there.order(callback_url=url), soon())
    answer = await ended(there, client, task)
    assert isinstance(answer, Finished)
    assert "".join(sentence.text for sentence in answer.sentences) == CHINESE
    assert all(sentence.words for sentence in answer.sentences)
    assert {sentence.channel for sentence in answer.sentences} == {0}
    await until(lambda: bool(there.called), "no callback came")


async def test_silence_is_an_end_without_sentences(there: Pop, client: Filetrans) -> None:
    task = await client.submit(there.order(recordings.encoded("wav", bytes(64_000))), soon())
    assert await ended(there, client, task) == Finished(())


@pytest.mark.parametrize(
    ("code", "ours", "retryable"),
    [
        ("41050025", "nls.file_not_fetched", True),
        ("41050002", "nls.file_not_fetched", True),
        ("41050008", "nls.sample_rate", False),
        ("41050103", "nls.audio_too_long", False),
        ("51050000", "nls.server_error", True),
    ],
)
async def test_a_task_that_fails_says_why(code: str, ours: str, retryable: bool, there: Pop, client: Filetrans) -> None:
    there.faults.arm(operation="filetrans.task", action="error", code=code)
    answer = await ended(there, client, await client.submit(there.order(), soon()))
    assert isinstance(answer, Failed)
    assert (answer.error.code, answer.error.retryable) == (ours, retryable)


async def test_a_task_that_nobody_knows_is_gone(client: Filetrans) -> None:
    answer = await client.result("0" * 32, soon())
    assert isinstance(answer, Failed)
    assert answer.error.code == "nls.task_expired"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ({"action": "error", "code": "Throttling.User"}, "pop.throttled", True),
        ({"action": "business", "code": "41050015"}, "nls.appkey_unknown", False),
        ({"action": "business", "code": "41050001"}, "nls.quota_exceeded", False),
        ({"action": "error", "code": "Forbidden.RAM", "status": 403}, "pop.ram_denied", False),
    ],
)
async def test_a_refused_submission_is_known_to_be_none(
    fault: dict[str, object], code: str, retryable: bool, there: Pop, client: Filetrans
) -> None:
    there.faults.arm(operation="pop.SubmitTask", **fault)  # type: ignore[arg-type]
    with pytest.raises(SpeechError) as caught:
        await client.submit(there.order(), soon())
    assert not isinstance(caught.value, SubmissionUnclear)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "drop"},
        {"action": "drop", "when": "after"},
        {"action": "error", "status": 503},
        {"action": "empty"},
    ],
)
async def test_a_submission_without_an_answer_is_unclear_and_not_to_be_repeated(
    fault: dict[str, object], there: Pop, client: Filetrans
) -> None:
    there.faults.arm(operation="pop.SubmitTask", **fault)  # type: ignore[arg-type]
    with pytest.raises(SubmissionUnclear) as caught:
        await client.submit(there.order(), soon())
    assert not caught.value.retryable


async def test_a_submission_that_times_out_is_unclear(there: Pop, client: Filetrans) -> None:
    there.faults.arm(operation="pop.SubmitTask", action="delay", seconds=5)
    with pytest.raises(SubmissionUnclear):
        await client.submit(there.order(), soon(0.3))


async def test_where_nobody_listens_nothing_was_submitted(there: Pop) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        lonely = there.client(unused.getsockname()[1])
        with pytest.raises(SpeechError) as caught:
            await lonely.submit(there.order(), soon())
        await lonely.close()
    assert (caught.value.code, isinstance(caught.value, SubmissionUnclear)) == ("nls.unreachable", False)


async def test_without_time_nothing_is_submitted(there: Pop, client: Filetrans) -> None:
    with pytest.raises(DeadlineExceeded):
        await client.submit(there.order(), Deadline.after(-1))
    assert there.faults.counters().get("pop.SubmitTask", 0) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"\xff", b'{"StatusCode": "21050000"}', b'{"StatusCode": 21050000}',
        b'{"StatusCode": 21050000, "Result": []}', b'{"StatusCode": 21050000, "Result": ' + b"[" * 5000,
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(IsiError):
        await answered(body)


async def test_what_makes_no_sense_in_a_result_is_left_out() -> None:
    answer = await answered(
        b'{"StatusCode": 21050000, "Result": {"Sentences": [7, null, {"Text": 5, "BeginTime": -1, "EndTime": 1e99},'
        b'{"Text": "ok", "BeginTime": 100, "EndTime": 50, "ChannelId": 99}], "Words": {"a": 1}}}'
    )
    assert isinstance(answer, Finished)
    assert [(one.text, one.start_ms, one.end_ms, one.channel) for one in answer.sentences] == [
        ("", 0, 0, 0),
        ("ok", 100, 100, 0),
    ]


async def test_a_result_of_any_length_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isikit.nls.filetrans.MOST_RESULT_BYTES", 1000)
    with pytest.raises(SpeechError) as caught:
        await answered(b'{"StatusCode": 21050000, "Result": {"x": "' + b"x" * 1000 + b'"}}')
    assert caught.value.code == "nls.unproved"


async def answered(body: bytes) -> TaskAnswer:
    """What becomes of an answer to GetTaskResult."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/", answer)
    async with served(app) as port:
        client = Pop().client(port)
        try:
            return await client.result("x" * 32, soon())
        finally:
            await client.close()
