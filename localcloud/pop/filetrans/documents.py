"""What file transcription answers: results by polling, and by callback in the shapes of version 4.0 and 2.0."""

from __future__ import annotations

from typing import Any

from localcloud.nls.transcript import Sentence, Transcript, rate_per_minute, words_of
from localcloud.pop.filetrans.statuses import QUEUEING, RUNNING, SUCCESS, text_of

Document = dict[str, Any]


def submitted(task_id: str, status: int = SUCCESS) -> Document:
    """The answer of SubmitTask."""
    return {"TaskId": task_id, "StatusText": text_of(status), "StatusCode": status}


def waiting(task_id: str, *, running: bool) -> Document:
    """A task that is not done."""
    if running:
        return {"TaskId": task_id, "StatusText": text_of(RUNNING), "BizDuration": 0, "StatusCode": RUNNING}
    return {"TaskId": task_id, "StatusText": text_of(QUEUEING), "StatusCode": QUEUEING}


def finished(task_id: str, status: int, solved_at: float, transcript: Transcript | None, *, words: bool) -> Document:
    """A task that is done; `Result` only where there is something to read."""
    document: Document = {
        "TaskId": task_id,
        "StatusText": text_of(status),
        "BizDuration": transcript.duration_ms if transcript else 0,
        "SolveTime": int(solved_at * 1000),
        "StatusCode": status,
    }
    if status == SUCCESS and transcript is not None:
        document["Result"] = _result(transcript, words)
    return document


def callback(document: Document, requested_at: float, version: str) -> Document:
    """What is posted to the callback address: the same with the time of the request, or the older shape."""
    request_time = int(requested_at * 1000)
    if version == "4.0":
        return {**document, "RequestTime": request_time}
    old: Document = {
        "task_id": document["TaskId"],
        "status_code": document["StatusCode"],
        "status_text": document["StatusText"],
        "request_time": request_time,
        "solve_time": document["SolveTime"],
        "biz_duration": document["BizDuration"],
    }
    if "Result" in document:
        names = {"BeginTime": "begin_time", "ChannelId": "channel_id", "EmotionValue": "emotion_value"} | {
            "EndTime": "end_time",
            "SilenceDuration": "silence_duration",
            "SpeechRate": "speech_rate",
            "Text": "text",
        }
        sentences = document["Result"]["Sentences"]
        old = {"result": [{new: sentence[name] for name, new in names.items()} for sentence in sentences], **old}
    return old


def _result(transcript: Transcript, words: bool) -> Document:
    ended_ms: dict[int, int] = {}
    sentences = []
    for sentence in transcript.sentences:
        sentences.append(_sentence(sentence, sentence.begin_ms - ended_ms.get(sentence.channel, 0)))
        ended_ms[sentence.channel] = sentence.end_ms
    result: Document = {"Sentences": sentences}
    if words:
        result["Words"] = [
            {"ChannelId": s.channel, "Word": word.text, "BeginTime": word.begin_ms, "EndTime": word.end_ms}
            for s in transcript.sentences
            for word in words_of(s)
        ]
    return result


def _sentence(sentence: Sentence, silence_ms: int) -> Document:
    return {
        "EndTime": sentence.end_ms,
        "SilenceDuration": max(0, silence_ms) // 1000,  # seconds, in the midst of milliseconds
        "BeginTime": sentence.begin_ms,
        "Text": sentence.text,
        "ChannelId": sentence.channel,
        "SpeechRate": rate_per_minute(sentence),
        "EmotionValue": round(min(10.0, max(1.0, sentence.level_db / 10)), 1),
    }
