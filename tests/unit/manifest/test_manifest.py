"""The loader of s.yaml resolves what `s preview` resolves, and refuses what it does not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import manifest

ROOT = Path(__file__).parents[3]
ACCOUNT = "1234567890123456"
REQUIRED = {
    "ISI_BUCKET_PROMPTS": "p",
    "ISI_BUCKET_RECORDINGS": "r",
    "ISI_BUCKET_STATE": "s",
    "ISI_PUBLIC_BASE_URL": "https://prompts.example.com",
}


def load(tmp_path: Path, text: str, **env: str) -> manifest.Manifest:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return manifest.load(path, env=env, account_id=ACCOUNT)


@pytest.mark.parametrize("name", REQUIRED)
def test_what_nobody_can_guess_has_no_default(name: str) -> None:
    with pytest.raises(manifest.ManifestError, match=f"set the environment variable {name}"):
        manifest.load(ROOT / "s.yaml", env={**REQUIRED, name: ""}, account_id=ACCOUNT)


def test_the_projects_own_manifest_resolves() -> None:
    loaded = manifest.load(ROOT / "s.yaml", env=REQUIRED, account_id=ACCOUNT)
    assert set(loaded.resources) == {"token", "tts", "asr"}
    assert "${" not in str(loaded)


def test_every_trigger_and_async_configuration_is_on_the_alias_live() -> None:
    loaded = manifest.load(ROOT / "s.yaml", env=REQUIRED, account_id=ACCOUNT)
    for resource in loaded.resources.values():
        qualifiers = [trigger["qualifier"] for trigger in resource.props["triggers"]]
        qualifiers.append(resource.props["asyncInvokeConfig"]["qualifier"])
        assert set(qualifiers) == {"live"}, resource.name


def test_clients_that_force_an_async_call_cannot_cause_retries_on_token_and_tts() -> None:
    loaded = manifest.load(ROOT / "s.yaml", env=REQUIRED, account_id=ACCOUNT)
    retries = {name: r.props["asyncInvokeConfig"]["maxAsyncRetryAttempts"] for name, r in loaded.resources.items()}
    assert retries == {"token": 0, "tts": 0, "asr": 3}


def test_logs_are_not_glued_together_and_layers_are_on_the_path() -> None:
    loaded = manifest.load(ROOT / "s.yaml", env=REQUIRED, account_id=ACCOUNT)
    for resource in loaded.resources.values():
        assert resource.props["logConfig"]["logBeginRule"] == "None"
        assert resource.props["environmentVariables"]["PYTHONPATH"] == "/code:/opt/python"
        assert resource.props["instanceConcurrency"] >= 2  # a client's abort restarts an instance of one


def test_a_whole_value_keeps_its_type_and_text_is_joined(tmp_path: Path) -> None:
    text = """
edition: 3.0.0
vars: {log: {project: p}, n: 7, stage: "${env('STAGE', 'dev')}"}
resources: {a: {component: fc3, props: {log: "${vars.log}", n: "${vars.n}", name: "f-${vars.stage}-${this.name}"}}}
"""
    props = load(tmp_path, text).resources["a"].props
    assert props == {"log": {"project": "p"}, "n": 7, "name": "f-dev-a"}
    assert load(tmp_path, text, STAGE="prod").resources["a"].props["name"] == "f-prod-a"


def test_an_empty_environment_variable_counts_as_missing(tmp_path: Path) -> None:
    text = "edition: 3.0.0\nresources: {a: {component: fc3, props: {x: \"${env('X')}\"}}}"
    with pytest.raises(manifest.ManifestError, match="set the environment variable X"):
        load(tmp_path, text, X="")


def test_a_template_is_merged_deeply_and_arrays_are_replaced(tmp_path: Path) -> None:
    text = """
edition: 3.0.0
template: {t: {env: {A: '1', B: '2'}, layers: [x, y], cpu: 1}}
resources: {a: {component: fc3, extend: {name: t}, props: {env: {B: '3'}, layers: [z]}}}
"""
    assert load(tmp_path, text).resources["a"].props == {"env": {"A": "1", "B": "3"}, "layers": ["z"], "cpu": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edition: 3.0\nresources: {}", "edition must be exactly"),
        ("edition: 3.0.0\nservices: {}", "syntax of edition 1"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, actions: {}}}", "does not know"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, extend: {name: t}}}", "not there"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, props: {x: '${vars.y}'}}}", "there is no vars.y"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, props: {x: '${secret(1)}'}}}", "not understood"),
        (
            "edition: 3.0.0\nresources: {a: {component: fc3, props: {x: \"${config('AccessKeySecret')}\"}}}",
            "is a secret",
        ),
        ("edition: 3.0.0\nvars: {a: '${vars.b}', b: '${vars.a}'}\nresources: {}", "circles"),
    ],
)
def test_what_is_not_understood_is_refused_by_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(manifest.ManifestError, match=message):
        load(tmp_path, text)
