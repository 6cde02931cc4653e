"""The stores of the settings, and what they cost before they are needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from isikit import config, objects
from isikit.objects import OssStore

SHARED = Path(__file__).parents[3] / "shared"
ENVIRONMENT = {
    "ISI_OSS_INTERNAL": "https://oss-cn-beijing-internal.aliyuncs.com",
    "ISI_OSS_PUBLIC": "https://oss-cn-beijing.aliyuncs.com",
    "ISI_BUCKET_PROMPTS": "isi-prompts",
    "ISI_BUCKET_RECORDINGS": "isi-recordings",
    "ISI_BUCKET_STATE": "isi-state",
    "ISI_NLS_REST": "https://nls.example.com",
    "ISI_NLS_WEBSOCKET": "wss://nls.example.com/ws/v1",
    "ISI_NLS_PUBLIC_REST": "https://nls.example.com",
    "ISI_NLS_PUBLIC_WEBSOCKET": "wss://nls.example.com/ws/v1",
    "ISI_POP_NLS_META": "https://nls-meta.cn-shanghai.aliyuncs.com",
    "ISI_FC_ENDPOINT": "https://fc.example.com",
    "ISI_PUBLIC_BASE_URL": "https://prompts.example.com",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    config.settings.cache_clear()
    objects.stores.cache_clear()
    yield
    config.settings.cache_clear()
    objects.stores.cache_clear()


def test_the_settings_name_three_buckets_and_they_are_made_once(settings: None) -> None:
    stores = objects.stores()
    assert objects.stores() is stores
    buckets = [store.bucket for store in (stores.prompts, stores.recordings, stores.state)]
    assert buckets == ["isi-prompts", "isi-recordings", "isi-state"]
    assert all(isinstance(store, OssStore) for store in (stores.prompts, stores.recordings, stores.state))


def test_oss2_is_not_loaded_before_the_first_call() -> None:
    """It takes a quarter of a second to import: start-up time is a feature."""
    code = "import sys, isikit.objects, isikit.journal, isikit.claims; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SHARED)}, capture_output=True, text=True, check=True
    )
    assert not {"oss2", "requests", "urllib3", "starlette"} & set(loaded.stdout.split())
