"""One test per platform: how it really fetches, what it keeps, and what it does when we fail."""

from __future__ import annotations

import io

import av
import pytest

from contract.consumers import players
from contract.consumers.players import (
    Asterisk,
    ModHttapi,
    ModHttpCache,
    Player,
    SharedCache,
    Sinch,
    Unplayable,
    ask,
    wav_samples,
)
from functions.prompts.warm import FRESH_SECONDS
from isikit.audio import wav
from support.served_prompts import Served

WORDS = {"text": "您好，欢迎致电。", "retention": "permanent"}
YEAR_SECONDS = 31_536_000
CACHES: dict[str, tuple[type[Player], str]] = {
    "asterisk": (Asterisk, "asterisk"),
    "mod_httapi": (ModHttapi, "freeswitch"),
    "mod_http_cache": (ModHttpCache, "freeswitch"),
    "jambonz": (ModHttpCache, "jambonz"),  # its media server is FreeSWITCH with this module
    "twilio": (SharedCache, "twilio"),
    "bandwidth": (SharedCache, "bandwidth"),
    "sinch": (Sinch, "sinch"),
}


def fresh(two: Served, consumer: str, **changes: object) -> tuple[str, bytes]:
    """The URL of a new prompt, and the bytes that lie behind it."""
    answer = two.post(**{**WORDS, "consumer": consumer, **changes})
    assert answer["status"] == "ready"
    two.seen.clear()
    return two.url(answer["url"]), two.world.bucket.objects[answer["url"].split("/", 3)[3]].data


def test_asterisk_gets_mulaw_once_and_asks_again_by_etag_after_a_year(two: Served) -> None:
    url, stored = fresh(two, "asterisk")
    asterisk = Asterisk()
    assert asterisk.play(url) == stored
    assert asterisk.kept[url].headers["content-type"] == "audio/basic"
    asterisk.now = YEAR_SECONDS - 1
    assert asterisk.play(url) == stored
    assert two.methods() == ["GET"]
    asterisk.now = YEAR_SECONDS + 1
    assert asterisk.play(url) == stored
    assert [(method, "if-none-match" in headers) for method, _, headers in two.seen] == [("HEAD", True)]


def test_asterisk_reads_the_wav_file_too(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    assert Asterisk().play(url) == stored[44:] == wav.read(stored).data


def test_mod_httapi_heads_first_and_finds_nothing_changed_every_five_minutes(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    freeswitch = ModHttapi()
    assert freeswitch.play(url) == stored
    assert two.methods() == ["HEAD", "GET"]
    freeswitch.now = 299
    assert freeswitch.play(url) == stored
    assert two.methods() == []
    freeswitch.now = 301
    assert freeswitch.play(url) == stored
    assert two.methods() == ["HEAD"]


def test_mod_httapi_keeps_its_copy_when_another_instance_answers(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    freeswitch = ModHttapi()
    freeswitch.play(url)
    freeswitch.kept[url.replace(two.bases[0], two.bases[1])] = freeswitch.kept[url]
    freeswitch.now = 301
    assert freeswitch.play(url.replace(two.bases[0], two.bases[1])) == stored
    assert two.methods() == ["HEAD", "GET", "HEAD"]


def test_mod_httapi_does_not_lose_its_copy_while_oss_is_down(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    freeswitch = ModHttapi()
    freeswitch.play(url)
    two.world.bucket.fail("head", times=1000)
    two.world.bucket.fail("get", times=1000)
    freeswitch.now = 301
    two.world.pass_time(301)
    assert freeswitch.play(url) == stored


def test_mod_http_cache_gets_without_asking_and_asks_again_only_after_a_restart(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    freeswitch = ModHttpCache()
    for _ in range(3):
        assert freeswitch.play(url) == stored
    freeswitch.now = 7 * 86_400
    assert freeswitch.play(url) == stored
    freeswitch.restart()
    assert freeswitch.play(url) == stored
    assert two.methods() == ["GET", "GET"]


@pytest.mark.parametrize("name", ["twilio", "bandwidth"])
def test_a_shared_cache_keeps_a_permanent_prompt_and_revalidates_it(two: Served, name: str) -> None:
    url, stored = fresh(two, name)
    cache = SharedCache()
    assert cache.play(url) == cache.play(url) == stored
    assert two.methods() == ["GET"]
    cache.now = YEAR_SECONDS + 1
    assert cache.play(url) == stored
    (_, _, sent), *more = two.seen
    assert not more
    assert {"if-none-match", "if-modified-since"} <= sent.keys()
    assert cache.kept[url].expires_at > YEAR_SECONDS * 2 - 10


def test_sinch_gets_at_most_a_megabyte_without_a_redirect(two: Served) -> None:
    url, stored = fresh(two, "sinch")
    assert Sinch().play(url) == stored
    answer = two.post(text="您好，欢迎致电，请按一。" * 150, retention="permanent", consumer="sinch")
    assert (answer["http"], answer["errors"][0]["code"]) == (400, "too_long")


def test_jambonz_plays_what_its_freeswitch_fetches(two: Served) -> None:
    url, stored = fresh(two, "jambonz")
    assert ModHttpCache().play(url) == ModHttapi().play(url) == stored
    assert wav_samples(stored)


def test_amazon_connect_is_given_mulaw_in_wav_to_upload(two: Served) -> None:
    url, _ = fresh(two, "amazon-connect")
    file = ask("GET", url).body
    assert int.from_bytes(file[20:22], "little") == 7  # WAVE_FORMAT_MULAW
    assert (wav.read(file).rate_hz, wav.read(file).channels) == (8000, 1)


def test_curl_resumes_a_download_and_asks_by_its_saved_etag(two: Served) -> None:
    url, stored = fresh(two, "freeswitch")
    head = ask("HEAD", url)
    assert (head.status, int(head.headers["content-length"]), head.body) == (200, len(stored), b"")
    part = ask("GET", url, ("Range: bytes=1000-", f"If-Range: {head.headers['etag']}"))
    assert (part.status, part.body) == (206, stored[1000:])
    assert part.headers["content-range"] == f"bytes 1000-{len(stored) - 1}/{len(stored)}"
    beyond = ask("GET", url, (f"Range: bytes={len(stored)}-",))
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(stored)}")
    known = ask("GET", url, (f"If-None-Match: {head.headers['etag']}",))
    assert (known.status, known.body) == (304, b"")


@pytest.mark.parametrize("encoding", ["pcm_s16le", "mulaw", "alaw", "mp3"])
def test_ffmpeg_plays_the_url_itself(two: Served, encoding: str) -> None:
    container = "mp3" if encoding == "mp3" else "wav"
    answer = two.post(**WORDS, encoding=encoding, container=container)
    with av.open(two.url(answer["url"]), timeout=10) as file:
        heard_ms = sum(frame.samples for frame in file.decode(audio=0)) * 1000 / file.streams.audio[0].rate
    assert 0 <= heard_ms - answer["audio"]["duration_ms"] <= (180 if encoding == "mp3" else 0.5)
    assert {method for method, _, _ in two.seen} == {"GET"}


@pytest.mark.parametrize("name", CACHES)
def test_a_prompt_of_a_day_is_asked_for_again_within_ten_minutes_and_dies_with_its_day(two: Served, name: str) -> None:
    kind, consumer = CACHES[name]
    player = kind()
    url, stored = fresh(two, consumer, retention="day")
    assert player.play(url) == stored
    kept_until = player.kept[url].expires_at
    assert kept_until <= (86_400 if kind is Sinch else 600)
    two.world.pass_time(86_401)
    player.now = 86_401
    with pytest.raises(Unplayable):
        player.play(url)


@pytest.mark.parametrize("name", CACHES)
def test_nothing_of_ours_is_kept_that_is_not_the_audio(two: Served, name: str) -> None:
    kind, consumer = CACHES[name]
    player = kind()
    answer = two.post(**{**WORDS, "consumer": consumer, "wait_ms": 0})
    assert (answer["http"], answer["status"]) == (202, "pending")
    url = two.url(answer["url"])
    two.world.speaker.error = TimeoutError  # whatever it is that breaks
    with pytest.raises(Unplayable):
        player.play(url)
    assert player.kept == {}
    two.world.speaker.error = None
    two.world.pass_time(FRESH_SECONDS)
    heard = player.play(url)
    assert heard == two.world.bucket.objects[answer["url"].split("/", 3)[3]].data


@pytest.mark.parametrize("name", CACHES)
def test_a_second_of_trouble_costs_no_player_the_copy_it_has(two: Served, name: str) -> None:
    kind, consumer = CACHES[name]
    player = kind()
    url, stored = fresh(two, consumer)
    player.play(url)
    for operation in ("head", "get", "list"):
        two.world.bucket.fail(operation, times=1000)  # type: ignore[arg-type]
    for _ in range(5):
        player.now += 400
        two.world.pass_time(400)
        assert player.play(url) == stored


def test_the_models_refuse_what_the_real_ones_refuse() -> None:
    with pytest.raises(Unplayable):
        Asterisk().play("http://127.0.0.1/short.wav")
    pipe = io.BytesIO(wav.write(bytes(320), 8000)).getvalue()
    assert wav_samples(pipe) == bytes(320)
    with pytest.raises(Unplayable, match="data"):
        wav_samples(pipe[:40] + b"\xff" * 4 + pipe[44:])
    with pytest.raises(Unplayable, match="8 kHz"):
        wav_samples(wav.write(bytes(320), 16000))
    assert players.Reply(200, {"cache-control": "no-store, max-age=0"}, b"").max_age == 0
