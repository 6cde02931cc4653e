"""What every player relies on: HEAD and GET agree to the byte, on every instance, and a WAV file's header is true."""

from __future__ import annotations

import http.client
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from contract.consumers.players import ask
from functions.prompts.rendition import RENDITIONS, Rendition
from support.served_prompts import Served

WORDS = {"text": "您好，欢迎致电。"}
OWN_TO_ONE_ANSWER = {"date", "x-request-id"}


def raw(url: str, method: str, **headers: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers in their order without those that differ by nature, and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method, parts.path, headers=headers)
        answer = connection.getresponse()
        lines = [(name.lower(), value) for name, value in answer.getheaders()]
        return answer.status, [line for line in lines if line[0] not in OWN_TO_ONE_ANSWER], answer.read()
    finally:
        connection.close()


def asked(two: Served, rendition: Rendition, **more: Any) -> str:
    wish = {"encoding": rendition.encoding, "container": rendition.container}
    url = two.post(**WORDS, **wish, sample_rate_hz=rendition.sample_rate_hz, **more)["url"]
    assert url.endswith(rendition.filename)
    return str(url)


@pytest.mark.parametrize("retention", ["permanent", "day"])
@pytest.mark.parametrize("rendition", RENDITIONS.values(), ids=lambda each: each.filename)
def test_head_and_get_agree_to_the_byte_on_every_instance(two: Served, rendition: Rendition, retention: str) -> None:
    url = asked(two, rendition, retention=retention)
    answers = [raw(two.url(url, number), method) for number in (0, 1, 0, 1) for method in ("HEAD", "GET")]
    assert {status for status, _, _ in answers} == {200}
    assert len({tuple(headers) for _, headers, _ in answers}) == 1
    bodies = {body for _, _, body in answers[1::2]}
    assert len(bodies) == 1 and {body for _, _, body in answers[::2]} == {b""}
    headers = dict(answers[0][1])
    assert int(headers["content-length"]) == len(bodies.pop())
    assert headers["content-type"] == rendition.content_type
    assert headers["etag"].startswith('"') and headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("retention", ["permanent", "day"])
def test_what_the_answers_say_of_the_object_is_what_oss_says(two: Served, retention: str) -> None:
    url = asked(two, RENDITIONS["pcm_s16le-8000.wav"], retention=retention)
    key = url.split("/", 3)[3]
    info = two.run(lambda: two.world.bucket.head(key))
    assert info is not None
    headers = dict(raw(two.url(url), "HEAD")[1])
    assert (headers["etag"], int(headers["content-length"])) == (f'"{info.etag}"', info.size)
    assert headers["content-type"] == two.world.bucket.objects[key].content_type


@pytest.mark.parametrize("condition", ["If-None-Match", "If-Modified-Since"])
def test_304_says_the_same_for_head_and_get_and_carries_no_length_of_its_own(two: Served, condition: str) -> None:
    url = asked(two, RENDITIONS["mulaw-8000.ulaw"], retention="permanent")
    whole = dict(raw(two.url(url), "GET")[1])
    value = whole["etag" if condition == "If-None-Match" else "last-modified"]
    answers = [
        raw(two.url(url, number), method, **{condition: value}) for number in (0, 1) for method in ("HEAD", "GET")
    ]
    assert {(status, tuple(headers), body) for status, headers, body in answers} == {(304, tuple(answers[0][1]), b"")}
    told = dict(answers[0][1])
    assert {name: told[name] for name in ("etag", "cache-control", "last-modified")} == {
        name: whole[name] for name in ("etag", "cache-control", "last-modified")
    }
    assert told.get("content-length") in (None, whole["content-length"])


@pytest.mark.parametrize("name", [name for name in RENDITIONS if name.endswith(".wav")])
def test_a_wav_file_has_the_shortest_header_there_is_with_true_sizes_and_ends_in_silence(
    two: Served, name: str
) -> None:
    rendition = RENDITIONS[name]
    file = ask("GET", two.url(asked(two, rendition))).body
    width = 2 if rendition.encoding == "pcm_s16le" else 1
    header = 44 if width == 2 else 58  # G.711 must have an extension size and a `fact` chunk (RIFF MCI, 1994)
    assert (file[:4], file[8:16], file[header - 8 : header - 4]) == (b"RIFF", b"WAVEfmt ", b"data")
    assert int.from_bytes(file[4:8], "little") == len(file) - 8
    assert int.from_bytes(file[header - 4 : header], "little") == len(file) - header
    assert int.from_bytes(file[28:32], "little") == rendition.sample_rate_hz * width
    silence = {"pcm_s16le": b"\0", "mulaw": b"\xff", "alaw": b"\xd5"}[rendition.encoding]
    tail = file[-rendition.sample_rate_hz * width // 50 :]
    if rendition.sample_rate_hz == 16000 or width == 1:
        assert tail == silence * len(tail)
    else:  # a filter rings for a few samples by a step or two
        samples = memoryview(tail).cast("h")
        assert max(abs(sample) for sample in samples[len(samples) // 2 :]) <= 2


def test_urls_are_64_to_255_characters_without_a_query_and_end_in_their_extension(two: Served) -> None:
    for rendition in RENDITIONS.values():
        for retention in ("permanent", "day"):
            url = asked(two, rendition, retention=retention)
            assert 64 <= len(url) <= 255
            assert "?" not in url and "%" not in url
            assert url.endswith("." + rendition.extension)


def test_every_line_of_an_answers_head_is_shorter_than_asterisk_takes(two: Served) -> None:
    url = two.url(asked(two, RENDITIONS["mulaw-8000.ulaw"]))
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 10) as line:
        line.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    head = answer.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200")
    assert max(map(len, head.split(b"\r\n"))) < 1023
