"""One sentence and real time over WebSocket."""

from __future__ import annotations

import pytest

SENTENCE, REALTIME = "SpeechRecognizer", "SpeechTranscriber"


async def test_the_sdk_recognises_a_sentence(service) -> None:
    pcm = await service.said("北京的天气。")
    run = await service.sdk_recognise(pcm)
    assert run.names[:2] == ["start", "close"] or run.names[:2] == ["start", "completed"]
    completed = run.messages[-1]
    assert completed["header"]["name"] == "RecognitionCompleted"
    assert completed["payload"] == {"result": "北京的天气。", "duration": len(pcm) // 32}
    assert service.counter("nls.recognition") == 1
    assert service.counter("nls.recognition.audio_ms") == len(pcm) // 32
    assert service.gateway.quotas.busy("sentence_asr") == 0


async def test_intermediate_results_come_where_asked_for(service) -> None:
    pcm = await service.said("北京的天气。")
    run = await service.sdk_recognise(pcm, enable_intermediate_result=True)
    parts = [m["payload"]["result"] for m in run.messages if m["header"]["name"] == "RecognitionResultChanged"]
    assert parts
    assert all("北京的天气。".startswith(part) for part in parts)


async def test_sixty_seconds_is_the_limit_of_a_sentence(service) -> None:
    run = await service.sdk_recognise(bytes(32000 * 63), chunk=64000)
    assert run.messages[-1]["header"]["status"] == 41010104


async def test_a_sentence_can_end_by_silence_without_stop(service, connect) -> None:
    pcm = await service.said("hello", silence_ms=1000)
    client = await connect()
    await client.say(SENTENCE, "StartRecognition", {"format": "pcm", "enable_voice_detection": True})
    assert (await client.event())["header"]["name"] == "RecognitionStarted"
    for at in range(0, len(pcm), 3200):
        await client.socket.send_bytes(pcm[at : at + 3200])
    completed = await client.event()
    assert completed["header"]["name"] == "RecognitionCompleted"
    assert completed["payload"]["result"] == "hello"


async def test_silence_from_the_start_ends_a_sentence_empty(connect) -> None:
    client = await connect()
    values = {"format": "pcm", "enable_voice_detection": True, "max_start_silence": 500}
    await client.say(SENTENCE, "StartRecognition", values)
    await client.event()
    await client.socket.send_bytes(bytes(32000))
    assert (await client.event())["payload"] == {"result": "", "duration": 1000}


async def test_sentences_are_cut_by_silence_in_audio_time(service) -> None:
    pcm = await service.said("您好，请问有什么可以帮您？", "我要查询余额。", silence_ms=1000)
    service.gateway.limits.pace_slack_seconds = 60
    run = await service.sdk_transcribe(pcm)
    names = [name for name in run.names if name != "close"]
    assert names == ["start"] + ["sentence_begin", "sentence_end"] * 2 + ["completed"]
    begins = [m["payload"] for m in run.messages if m["header"]["name"] == "SentenceBegin"]
    ends = [m["payload"] for m in run.messages if m["header"]["name"] == "SentenceEnd"]
    assert [end["result"] for end in ends] == ["您好，请问有什么可以帮您？", "我要查询余额。"]
    assert [begin["index"] for begin in begins] == [end["index"] for end in ends] == [1, 2]
    assert [begin["time"] for begin in begins] == [end["begin_time"] for end in ends]
    first_ms = len(await service.said("您好，请问有什么可以帮您？")) // 32
    assert ends[0]["time"] == pytest.approx(first_ms + 800, abs=150)
    assert begins[1]["time"] == pytest.approx(first_ms + 1000, abs=150)
    assert service.counter("nls.recognition") == 1
    assert service.counter("nls.recognition.audio_ms") == pytest.approx(len(pcm) // 32, abs=10)


async def test_sentence_end_has_every_recorded_field_in_order(service) -> None:
    run = await service.sdk_transcribe(await service.said("hello"))
    (end,) = [m for m in run.messages if m["header"]["name"] == "SentenceEnd"]
    assert " ".join(end["payload"]) == (
        "index time result confidence words status gender begin_time fixed_result unfixed_result stash_result"
        " audio_extra_info sentence_id gender_score"
    )
    started, completed = run.messages[0], run.messages[-1]
    assert started["header"]["name"] == "TranscriptionStarted"
    assert completed["header"]["name"] == "TranscriptionCompleted"
    assert "payload" not in started
    assert "payload" not in completed


async def test_a_longer_silence_can_be_asked_for(service) -> None:
    pcm = await service.said("one", "two", silence_ms=1000)
    run = await service.sdk_transcribe(pcm, ex={"max_sentence_silence": 2000})
    ends = [m["payload"]["result"] for m in run.messages if m["header"]["name"] == "SentenceEnd"]
    assert ends == ["one two"]


async def test_intermediate_results_of_a_sentence_come_between_its_begin_and_end(service) -> None:
    run = await service.sdk_transcribe(await service.said("hello there"), enable_intermediate_result=True)
    names = [name for name in run.names if name not in ("start", "close", "completed")]
    assert names[0] == "sentence_begin"
    assert names[-1] == "sentence_end"
    assert set(names[1:-1]) == {"result_changed"}


async def test_pure_silence_has_no_sentence(service) -> None:
    run = await service.sdk_transcribe(bytes(64000))
    assert [name for name in run.names if name != "close"] == ["start", "completed"]


async def test_wav_is_taken_without_its_header_also_in_small_pieces(service) -> None:
    wav = (await service.tts("hello there", format="wav")).body
    run = await service.sdk_transcribe(wav, chunk=20, aformat="pcm")  # the SDK knows no wav: said by `ex`
    assert "error" not in run.names
    run = await service.sdk_transcribe(wav, chunk=30, ex={"format": "wav"})
    ends = [m["payload"]["result"] for m in run.messages if m["header"]["name"] == "SentenceEnd"]
    assert ends == ["hello there"]


async def test_audio_much_faster_than_real_time_is_refused(service) -> None:
    run = await service.sdk_transcribe(bytes(32000 * 8))
    assert run.messages[-1]["header"]["status"] == 41040202
    assert run.messages[-1]["header"]["status_text"] == "client sends too fast, server resources exhausted"


async def test_audio_may_run_a_few_seconds_ahead(service) -> None:
    run = await service.sdk_transcribe(bytes(32000 * 4))
    assert "completed" in run.names


@pytest.mark.parametrize(
    ("namespace", "start", "payload", "status"),
    [
        (SENTENCE, "StartRecognition", {"sample_rate": 8000}, 41010101),
        (REALTIME, "StartTranscription", {"sample_rate": 8000}, 41010101),
        (SENTENCE, "StartRecognition", {"format": "flac"}, 41010100),
        (REALTIME, "StartTranscription", {"format": "mp3"}, 40010002),
        (REALTIME, "StartTranscription", {"max_sentence_silence": 100}, 41040205),
        (REALTIME, "StartTranscription", {"enable_words": True}, 40010002),
        (REALTIME, "StartTranscription", {"max_end_silence": 800}, 40010002),
        (SENTENCE, "StartRecognition", {"max_start_silence": 0}, 40000003),
        (SENTENCE, "StartTranscription", {}, 40010002),
    ],
)
async def test_starts_that_are_refused(service, connect, namespace, start, payload, status) -> None:
    client = await connect()
    await client.say(namespace, start, payload)
    assert (await client.refusal())[0] == status
    assert service.counter("nls.recognition") == 0


KINDS = [
    (SENTENCE, "StartRecognition", "StopRecognition"),
    (REALTIME, "StartTranscription", "StopTranscription"),
]


@pytest.mark.parametrize(("namespace", "start", "stop"), KINDS)
async def test_stop_needs_a_start(connect, namespace: str, start: str, stop: str) -> None:
    client = await connect()
    await client.say(namespace, stop)
    assert (await client.refusal())[0] == 40010005


@pytest.mark.parametrize(("namespace", "start", "stop"), KINDS)
async def test_a_second_stop_is_out_of_order(service, connect, namespace: str, start: str, stop: str) -> None:
    service.faults.arm(operation="nls.asr.ws", action="never_complete")
    client = await connect()
    await client.say(namespace, start, {})
    await client.event()
    await client.say(namespace, stop)
    await client.say(namespace, stop)
    assert await client.refusal() == (
        40010005,
        "Gateway:TASK_STATE_ERROR:Got stop directive while task is stopping!",
    )


@pytest.mark.parametrize(("namespace", "start", "stop"), KINDS)
async def test_audio_after_stop_is_out_of_order(service, connect, namespace: str, start: str, stop: str) -> None:
    service.faults.arm(operation="nls.asr.ws", action="never_complete")
    client = await connect()
    await client.say(namespace, start, {})
    await client.event()
    await client.say(namespace, stop)
    await client.socket.send_bytes(bytes(320))
    assert (await client.refusal())[0] == 40010005


@pytest.mark.parametrize(("namespace", "start", "stop"), KINDS)
async def test_another_task_id_is_refused(connect, namespace: str, start: str, stop: str) -> None:
    client = await connect()
    await client.say(namespace, start, {})
    await client.event()
    await client.say(namespace, stop, None, task_id="0" * 31 + "1")
    assert (await client.refusal())[0] == 40000002


@pytest.mark.parametrize(
    ("namespace", "start", "status", "text"),
    [
        (SENTENCE, "StartRecognition", 40000004, "Gateway:IDLE_TIMEOUT:Websocket session is idle for too long time"),
        (REALTIME, "StartTranscription", 41040201, "Realtime:GET_CLIENT_DATA_TIMEOUT:Client data does not send"),
    ],
)
async def test_pings_do_not_replace_audio(service, connect, namespace, start, status, text) -> None:
    client = await connect()
    await client.say(namespace, start, {})
    await client.event()
    service.clock.move(6)
    await client.socket.ping()
    service.clock.move(6)
    await client.socket.ping()
    found = await client.refusal()
    assert found[0] == status
    assert found[1].startswith(text)


async def test_controls_are_refused_rather_than_ignored(connect) -> None:
    client = await connect()
    await client.say(REALTIME, "StartTranscription", {})
    await client.event()
    await client.say(REALTIME, "ControlTranscriber", {"vocabulary_id": "x"})
    assert (await client.refusal())[0] == 40010002


async def test_services_have_quotas_of_their_own(service, connect) -> None:
    service.gateway.limits.concurrency["realtime_asr"] = 1
    client = await connect()
    await client.say(REALTIME, "StartTranscription", {})
    await client.event()
    other = await connect()
    await other.say(REALTIME, "StartTranscription", {})
    assert (await other.refusal())[0] == 40000005
    assert (await service.asr(bytes(3200))).status == 200
    assert service.counter("nls.peak.realtime_asr") == 1
