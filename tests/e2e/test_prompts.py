"""An IVR platform and its prompts, through the gateway, on deployed artefacts."""

from __future__ import annotations

import gzip
import uuid

import oss2
import pytest
import requests

from support.local_cloud import Local

pytestmark = pytest.mark.xdist_group("e2e")


def new_text() -> str:
    return f"Your code is {uuid.uuid4().hex[:8]}."


def test_a_prompt_is_synthesised_once_and_then_a_hit_with_the_same_url(local: Local) -> None:
    body = {"text": new_text(), "retention": "permanent", "consumer": "asterisk"}
    before = local.counters().get("nls.synthesis", 0)
    first, again = local.post("/v1/prompts", json=body).json(), local.post("/v1/prompts", json=body).json()
    assert (first["cache"], first["status"], first["billed"]["calls"]) == ("miss", "ready", 1)
    assert (again["cache"], again["url"], again["billed"]) == ("hit", first["url"], {"characters": 0, "calls": 0})
    assert local.counters()["nls.synthesis"] == before + 1


def test_head_and_get_agree_and_the_audio_is_mulaw_for_asterisk(local: Local) -> None:
    prompt = local.post("/v1/prompts", json={"text": new_text(), "consumer": "asterisk"}).json()
    head, get = requests.head(prompt["url"], timeout=10), requests.get(prompt["url"], timeout=10)
    assert (head.status_code, get.status_code) == (200, 200)
    names = ("ETag", "Last-Modified", "Content-Length", "Content-Type", "Cache-Control", "Accept-Ranges")
    assert [head.headers.get(name) for name in names] == [get.headers.get(name) for name in names]
    assert get.headers["Content-Type"] == "audio/basic"
    assert prompt["url"].endswith(".ulaw")
    assert 64 <= len(prompt["url"]) <= 255
    assert len(get.content) == prompt["audio"]["bytes"] == prompt["audio"]["duration_ms"] * 8


def test_a_known_etag_is_304_and_a_range_is_206(local: Local) -> None:
    url = local.post("/v1/prompts", json={"text": new_text(), "retention": "permanent"}).json()["url"]
    whole = requests.get(url, timeout=10)
    assert requests.get(url, headers={"If-None-Match": whole.headers["ETag"]}, timeout=10).status_code == 304
    part = requests.get(url, headers={"Range": "bytes=0-43"}, timeout=10)
    assert (part.status_code, part.content) == (206, whole.content[:44])
    assert part.content[:4] == b"RIFF"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"text": ""}, 422, None),
        ({"text": "\u200b \t"}, 422, None),
        ({"text": "x" * 2001}, 422, None),
        ({"text": "Hello.", "voice": "nobody"}, 400, "voice"),
        ({"text": "Hello.", "volum": 50}, 400, "volum"),
        ({"text": "Hello.", "volume": 101}, 400, "volume"),
        ({"text": "Hello.", "consumer": "asterisk", "encoding": "mp3"}, 400, "encoding"),
        ({}, 400, "text"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_and_costs_nothing(
    local: Local, body: dict[str, object], status: int, field: str | None
) -> None:
    before = local.counters().get("nls.synthesis", 0)
    answer = local.post("/v1/prompts", json=body)
    assert answer.status_code in ({400, 422} if status == 422 else {status})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"]
    if field:
        assert field in {error["field"] for error in answer.json()["errors"]}
    assert local.counters().get("nls.synthesis", 0) == before


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[]", b'{"text": "\xe4"}', b""])
def test_a_body_that_is_not_json_in_utf8_is_a_clear_400(local: Local, raw: bytes) -> None:
    answer = local.post("/v1/prompts", data=raw)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("key", [None, "x", "0000.1111", "a.b.c", "\u00e9"])
def test_a_wrong_key_is_refused_the_same_way_whatever_is_wrong(local: Local, key: str | None) -> None:
    headers = {"X-Api-Key": key.encode("latin-1")} if key else {}
    answer = local.post("/v1/prompts", json={"text": "Hello."}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "identity.refused")


@pytest.mark.parametrize(
    "path", ["/p/demo/k1" + "a" * 52 + "/mulaw-8000.ulaw", "/p/nobody/x/y.wav", "/e/demo/../x", "/p/"]
)
def test_audio_that_is_not_there_is_404_that_no_player_keeps(local: Local, path: str) -> None:
    answer = requests.get(local.config["gateway"] + path, timeout=10)
    assert answer.status_code == 404
    assert "no-store" in answer.headers["Cache-Control"]


def test_an_unknown_path_or_method_is_our_problem_json(local: Local) -> None:
    assert local.get("/nothing").json()["code"] == "http.not_found"
    answer = requests.put(local.config["gateway"] + "/v1/prompts", headers=local.key, timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (405, "http.method_not_allowed")


def test_chinese_text_is_spoken_too_and_a_long_text_in_pieces(local: Local) -> None:
    assert local.post("/v1/prompts", json={"text": "您好，欢迎致电。请按一。"}).json()["status"] == "ready"
    answer = local.post("/v1/prompts", json={"text": "This is one of many sentences. " * 15, "wait_ms": 25000}).json()
    assert (answer["status"], answer["billed"]["calls"] >= 5) == ("ready", True)


def test_a_client_cannot_forge_an_event(local: Local) -> None:
    for path in ("/invoke", "/initialize", "/pre-stop"):
        for name in ("tts", "asr", "token"):
            answer = requests.post(local.config["functions"][name] + path, data=b'{"events": []}', timeout=10)
            assert answer.status_code == 404
    forged = requests.post(
        local.config["functions"]["asr"] + "/x", headers={"x-fc-control-path": "/invoke"}, data=b"{}", timeout=10
    )
    assert forged.status_code == 400


def test_what_is_a_day_old_is_swept_by_the_buckets_own_rules(local: Local) -> None:
    keys, oss = local.config["credentials"], local.config["oss"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])

    def rules(kind: str) -> dict[str, int]:
        bucket = oss2.Bucket(auth, oss["endpoint"], oss["buckets"][kind], region=oss["region"])
        return {rule.prefix: rule.expiration.days for rule in bucket.get_bucket_lifecycle().rules}

    assert rules("prompts") == {"e/": 2, "masters/e/": 2}
    assert rules("state") == {"day-recipes/": 2, "attempts/": 30, "work/": 7, "quotas/": 30, "pacing/": 30}


@pytest.mark.parametrize("door", ["gateway", "tts"])
def test_a_compressed_body_reaches_the_function_as_it_came_and_is_refused_there(local: Local, door: str) -> None:
    url = local.config["gateway"] if door == "gateway" else local.config["functions"]["tts"]
    headers = {**local.key, "Content-Encoding": "gzip"}
    for body in (gzip.compress(b'{"text": "Hello."}'), b"not gzip"):
        answer = requests.post(url + "/v1/prompts", data=body, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (400, "request.not_json")
