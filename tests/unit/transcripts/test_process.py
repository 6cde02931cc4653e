"""The function as it starts: what it is made of, and what it does not load before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from functions.transcripts.process import transcripts
from isikit import config, objects
from isikit.nls.realtime import SdkListener
from isikit.nls.recognition import Recogniser

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    "ISI_OSS_INTERNAL": "http://127.0.0.1:1",
    "ISI_OSS_PUBLIC": "http://127.0.0.1:1",
    "ISI_BUCKET_PROMPTS": "the-prompts",
    "ISI_BUCKET_RECORDINGS": "the-recordings",
    "ISI_BUCKET_STATE": "the-state",
    "ISI_NLS_REST": "http://127.0.0.1:1",
    "ISI_NLS_WEBSOCKET": "ws://127.0.0.1:1/ws/v1",
    "ISI_NLS_PUBLIC_REST": "http://127.0.0.1:1",
    "ISI_NLS_PUBLIC_WEBSOCKET": "ws://127.0.0.1:1/ws/v1",
    "ISI_POP_NLS_META": "http://127.0.0.1:1",
    "ISI_FC_ENDPOINT": "http://127.0.0.1:1",
    "ISI_PUBLIC_BASE_URL": "http://127.0.0.1:1",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
}


async def test_the_process_is_made_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    caches = (config.settings, objects.stores, transcripts)
    for cache in caches:
        cache.cache_clear()
    try:
        process = transcripts()
        assert (process.recordings_bucket, process.state_bucket) == ("the-recordings", "the-state")
        assert transcripts() is process
        assert process.clock == process.tenants.now, "receivers of webhooks refuse what is dated minutes off"
    finally:
        for cache in caches:
            cache.cache_clear()


@pytest.mark.parametrize(("transport", "client"), [("rest", Recogniser), ("sdk", SdkListener)])
async def test_sentence_mode_goes_by_the_transport_that_is_set(
    transport: str, client: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**ENVIRONMENT, "ISI_ASR_TRANSPORT": transport}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("functions.transcripts.process.patiently", lambda once, _: once)
    caches = (config.settings, objects.stores, transcripts)
    for cache in caches:
        cache.cache_clear()
    try:
        assert isinstance(getattr(transcripts().recognise, "__self__", None), client)
    finally:
        for cache in caches:
            cache.cache_clear()


def run(program: str, environment: dict[str, str]) -> list[str]:
    """What a program says that begins as an instance does."""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'shared'}", **environment},
    )
    return answer.stdout.splitlines()


INITIALIZE = """
import sys
from functions.transcripts import app
app.initialize()
print([name for name in ("oss2", "urllib3", "aliyunsdkcore.client") if name not in sys.modules])
print(app.transcripts.cache_info().currsize)
"""


def test_the_initializer_loads_what_the_first_event_needs_without_a_network() -> None:
    assert run(INITIALIZE, ENVIRONMENT) == ["[]", "1"]


def test_an_initializer_that_fails_says_so_and_lets_the_instance_start() -> None:
    line, *rest = run(INITIALIZE, {})
    told = json.loads(line)
    assert (told["event"], told["code"]) == ("host.initialize_failed", "config.invalid")
    assert rest == ["[]", "0"]


def test_starting_the_function_loads_no_sdk_and_no_decoder() -> None:
    heavy = ("oss2", "nls", "av", "numpy", "aliyunsdkcore", "cryptography", "requests", "urllib3")
    program = f"import sys, functions.transcripts.app; print([name for name in {heavy} if name in sys.modules])"
    assert run(program, {}) == ["[]"]
