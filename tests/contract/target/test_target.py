"""Choosing a target: one place, everything missing at once, no credentials over plain http."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ops import probe_target
from ops.probe_target import Target, TargetError
from support import target as support_target

COMPLETE = {
    **dict.fromkeys(probe_target.VARIABLES, "x"),
    **{
        name: f"https://{name.lower().replace('_', '-')}.example/"
        for name in ("TARGET_OSS", "TARGET_NLS_REST", "TARGET_POP", "TARGET_FILETRANS", "TARGET_FC")
    },
    "TARGET_NLS_WEBSOCKET": "wss://nls.example/ws/v1",
}


def test_an_account_comes_from_the_environment() -> None:
    target = probe_target.from_environment({**COMPLETE, "TARGET_SECURITY_TOKEN": "t"})
    assert (target.oss, target.nls_websocket) == ("https://target-oss.example", "wss://nls.example/ws/v1")
    assert target.security_token == "t"
    assert not target.is_local


def test_secrets_are_not_in_the_repr() -> None:
    target = probe_target.from_environment({**COMPLETE, "TARGET_ACCESS_KEY_SECRET": "hush", "TARGET_API_KEY": "psst"})
    assert "hush" not in repr(target)
    assert "psst" not in repr(target)


def test_everything_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(TargetError) as caught:
        probe_target.from_environment({"TARGET_REGION": "cn-beijing"})
    for name in set(probe_target.VARIABLES) - {"TARGET_REGION"}:
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["TARGET_OSS", "TARGET_POP", "TARGET_NLS_WEBSOCKET"])
def test_credentials_do_not_go_over_plain_http(name: str) -> None:
    with pytest.raises(TargetError):
        probe_target.from_environment({**COMPLETE, name: "http://elsewhere.example"})


def test_a_localcloud_comes_from_its_file(target: Target, tmp_path: Path) -> None:
    with pytest.raises(TargetError):
        probe_target.from_local(tmp_path / "local.json")
    known = dataclasses.asdict(target)
    buckets = {"prompts": "p", "recordings": "r", "state": "s"}
    file = tmp_path / "local.json"
    file.write_text(
        json.dumps(
            {
                "oss": {"endpoint": known["oss"], "region": known["region"], "buckets": buckets},
                "nls": {"rest": known["nls_rest"], "websocket": known["nls_websocket"], "appkey": known["appkey"]},
                "credentials": {"access_key_id": "i", "access_key_secret": "s"},
                "tenant": {"id": "demo", "api_key": "a.b"},
                "pop": known["pop"],
                "fc": known["fc"],
                "gateway": "http://127.0.0.1:1",
            }
        )
    )
    found = probe_target.from_local(file)
    assert (found.bucket, found.recordings, found.tenant) == ("s", "r", "demo")


def test_a_misspelt_target_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET", "clout")
    with pytest.raises(ValueError, match="local or cloud"):
        support_target.is_cloud()
