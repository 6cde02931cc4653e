"""Settings: declared once, checked all at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isikit import config
from isikit.config import SETTINGS, Settings, is_loopback, load
from isikit.errors import ConfigError

GOOD = {
    "ISI_OSS_INTERNAL": "https://oss-cn-beijing-internal.aliyuncs.com",
    "ISI_OSS_PUBLIC": "https://recordings.example.com",
    "ISI_BUCKET_PROMPTS": "speech-prompts",
    "ISI_BUCKET_RECORDINGS": "speech-recordings",
    "ISI_BUCKET_STATE": "speech-state",
    "ISI_NLS_REST": "https://nls-gateway-cn-beijing.aliyuncs.com",
    "ISI_NLS_WEBSOCKET": "ws://nls-gateway-cn-beijing-internal.aliyuncs.com:80/ws/v1",
    "ISI_NLS_PUBLIC_REST": "https://nls-gateway-cn-beijing.aliyuncs.com",
    "ISI_NLS_PUBLIC_WEBSOCKET": "wss://nls-gateway-cn-beijing.aliyuncs.com/ws/v1",
    "ISI_POP_NLS_META": "nls-meta.cn-shanghai.aliyuncs.com",
    "ISI_FC_ENDPOINT": "https://fcv3.cn-beijing.aliyuncs.com",
    "ISI_PUBLIC_BASE_URL": "https://prompts.example.com/",
}


def test_a_complete_environment_is_read_with_its_defaults() -> None:
    settings = load(GOOD)
    assert settings.region == "cn-beijing"
    assert settings.nls_transport == "rest"
    assert settings.nls_concurrency == 8
    assert settings.tenants_key == "config/tenants.json"
    assert settings.keys_key == "config/keys.json"
    assert settings.public_base_url == "https://prompts.example.com"


def test_a_bare_host_for_create_token_means_https() -> None:
    assert load(GOOD).pop_nls_meta == "https://nls-meta.cn-shanghai.aliyuncs.com"


def test_all_mistakes_are_named_at_once_and_no_value_is_repeated() -> None:
    env = {**GOOD, "ISI_REGION": "Bei Jing", "ISI_NLS_CONCURRENCY": "many", "ISI_BUCKET_STATE": ""}
    with pytest.raises(ConfigError) as raised:
        load(env)
    assert {(one.field, one.code) for one in raised.value.errors} == {
        ("ISI_REGION", "invalid"),
        ("ISI_NLS_CONCURRENCY", "invalid"),
        ("ISI_BUCKET_STATE", "missing"),
    }
    assert "Bei Jing" not in str([one.as_dict() for one in raised.value.errors])


def test_an_empty_environment_misses_exactly_the_required_settings() -> None:
    with pytest.raises(ConfigError) as raised:
        load({})
    assert [one.field for one in raised.value.errors] == [one.name for one in SETTINGS if one.required]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISI_POP_NLS_META", "http://nls-meta.cn-shanghai.aliyuncs.com"),
        ("ISI_NLS_PUBLIC_REST", "http://nls.example.com"),
        ("ISI_NLS_PUBLIC_WEBSOCKET", "ws://nls.example.com/ws/v1"),
        ("ISI_NLS_WEBSOCKET", "wss://nls.example.com/ws/v2"),
        ("ISI_OSS_INTERNAL", "https://user:pass@oss.example.com"),
        ("ISI_OSS_INTERNAL", "https://oss.example.com?x=1"),
        ("ISI_OSS_INTERNAL", "oss.example.com"),
        ("ISI_OSS_INTERNAL", "https://oss.example.com:port"),
        ("ISI_PUBLIC_BASE_URL", "ftp://example.com"),
        ("ISI_BUCKET_STATE", "Upper_Case"),
        ("ISI_NLS_CONCURRENCY", "0"),
        ("ISI_NLS_CONCURRENCY", "201"),
        ("ISI_NLS_TRANSPORT", "grpc"),
        ("ISI_TENANTS_KEY", "/config/tenants.json"),
        ("ISI_LISTEN_HOST", "example.com"),
        ("ISI_REDIS_URL", "http://redis.example.com"),
        ("ISI_REDIS_URL", "redis://redis.example.com:port/0"),
        ("ISI_REDIS_URL", "redis://redis.example.com/0?ssl_cert_reqs=none"),
        ("ISI_REDIS_URL", "redis:///0"),
        ("ISI_LIMITS_WHEN_DOWN", "half"),
        ("ISI_RATE_LEASES", "0/second"),
        ("ISI_RATE_PROMPTS", "10 per second"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_allowed(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load({**GOOD, name: value})
    (mistake,) = raised.value.errors
    assert (mistake.field, mistake.code) == (name, "invalid")
    assert mistake.allowed


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_a_laptop_may_do_without_tls(host: str) -> None:
    env = {**GOOD, "ISI_POP_NLS_META": f"http://{host}", "ISI_NLS_PUBLIC_WEBSOCKET": f"ws://{host}/ws/v1"}
    assert load(env).pop_nls_meta == f"http://{host}"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1.example.com", "https://localhost.example.com", "http://10.0.0.1", ""]
)
def test_a_name_that_only_looks_local_is_not(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_says_what_it_means(setting: config.Setting) -> None:
    assert re.fullmatch(r"ISI_[A-Z_]+", setting.name)
    assert setting.meaning.endswith(".")
    assert hasattr(Settings, setting.name.removeprefix("ISI_").lower())


def test_the_deployment_sets_only_settings_that_exist() -> None:
    manifest = (Path(__file__).parents[3] / "s.yaml").read_text(encoding="utf-8")
    set_there = set(re.findall(r"^ +(ISI_[A-Z_]+):", manifest, re.MULTILINE))
    assert {one.name for one in SETTINGS if one.required} <= set_there <= {one.name for one in SETTINGS}


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config.settings.cache_clear()
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    try:
        assert config.settings() is config.settings()
    finally:
        config.settings.cache_clear()


def test_the_password_of_redis_is_in_no_repr_and_in_no_mistake() -> None:
    url = "rediss://user:p4ssw0rd@redis.example.com:6380/1"
    settings = load({**GOOD, "ISI_REDIS_URL": url})
    assert settings.redis_url == url
    assert "p4ssw0rd" not in repr(settings)
    with pytest.raises(ConfigError) as raised:
        load({**GOOD, "ISI_REDIS_URL": url + "?x=1"})
    assert "p4ssw0rd" not in str([one.as_dict() for one in raised.value.errors])
