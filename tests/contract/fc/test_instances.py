"""One instance: cold start, freeze, crash, timeout, environment, credentials, hooks, end."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from support.fc_lab import SOURCE, alive, make_zip


async def test_a_cold_start_waits_for_the_health_check(lab: Any) -> None:
    check = lab.models.CustomHealthCheckConfig(http_get_url="/state", success_threshold=2)
    runtime = lab.models.CustomRuntimeConfig(command=["python3", "main.py"], health_check_config=check)
    url = await lab.create(custom_runtime_config=runtime)
    assert (await lab.get(url + "/state"))["pid"]
    assert lab.faults.counters()["fc.cold_start"] == 1


async def test_an_idle_instance_is_frozen_and_thaws_for_the_next_request(lab: Any) -> None:
    url = await lab.create()
    first = await lab.get(url + "/state")
    instance = await lab.eventually(lambda: [i for i in lab.fc.instances() if i.frozen])
    # A stopped process cannot run, so its beats stand still for as long as nobody asks.
    await lab.eventually(lambda: "State:\tT" in Path(f"/proc/{instance[0].pid}/status").read_text())
    used = _cpu_ticks(instance[0].pid)
    await asyncio.sleep(0.3)  # the time in which it must not make progress
    assert _cpu_ticks(instance[0].pid) == used
    again = await lab.get(url + "/state")
    assert again["pid"] == first["pid"]
    assert again["beats"] - first["beats"] < 150, "300 beats would have passed"


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.parametrize("settings", [{"freeze": False}])
async def test_freezing_is_an_option(lab: Any) -> None:
    url = await lab.create()
    first = await lab.get(url + "/state")
    await lab.eventually(lambda: lab.fc.instances()[0].in_flight == 0)
    assert not lab.fc.instances()[0].frozen
    deadline = asyncio.get_running_loop().time() + 10
    while (await lab.get(url + "/state"))["beats"] < first["beats"] + 100:
        assert asyncio.get_running_loop().time() < deadline


async def test_a_busy_instance_is_not_frozen_by_the_end_of_another_request(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    slow = asyncio.ensure_future(lab.status(url + "/sleep?seconds=0.5"))
    await lab.eventually(lambda: [i for i in lab.fc.instances() if i.in_flight])
    await lab.get(url + "/state")
    assert await slow == 200


async def test_a_crash_fails_its_request_and_the_next_gets_a_new_instance(lab: Any) -> None:
    url = await lab.create()
    before = await lab.get(url + "/state")
    async with lab.http.get(url + "/crash") as answer:
        body = await answer.json()
        assert answer.status == 502
        assert body["message"].startswith("Process exited unexpectedly before completing request")
    assert (await lab.get(url + "/state"))["pid"] != before["pid"]
    assert len(lab.fc.instances()) == 1


async def test_a_request_over_the_timeout_fails_and_its_instance_is_killed(lab: Any) -> None:
    url = await lab.create(timeout=1)
    pid = (await lab.get(url + "/state"))["pid"]
    async with lab.http.get(url + "/sleep?seconds=30") as answer:
        assert answer.status == 502
        assert (await answer.json())["message"].startswith("Function time out after 1s")
    assert not alive(pid)
    assert (await lab.get(url + "/state"))["pid"] != pid


async def test_the_time_of_a_cold_start_does_not_count_as_the_request_s(lab: Any) -> None:
    slow_start = SOURCE.replace('if __name__ == "__main__":', 'if __name__ == "__main__":\n    time.sleep(1.3)')
    code = lab.models.InputCodeLocation(zip_file=make_zip({"main.py": slow_start}))
    url = await lab.create(timeout=1, code=code)
    assert await lab.get(url)


async def test_the_environment_is_the_function_s_and_the_documented_variables_alone(lab: Any) -> None:
    role = "acs:ram::1234567890123456:role/probe-role"
    url = await lab.create(
        role=role,
        environment_variables={"PYTHONPATH": "/code:/opt/python", "OWN": "http://host/code", "LIST": "a,/opt/x;/code"},
    )
    seen = await lab.get(url + "/environment")
    variables = seen["variables"]
    code_dir, opt_dir = variables["FC_FUNC_CODE_PATH"], variables["PYTHONPATH"].split(":")[1].removesuffix("/python")
    assert variables["PYTHONPATH"] == f"{code_dir}:{opt_dir}/python"
    assert variables["OWN"] == "http://host/code", "only paths are mapped"
    assert variables["LIST"] == f"a,{opt_dir}/x;{code_dir}"
    assert seen["cwd"] == code_dir
    assert seen["argv"] == [f"{code_dir}/main.py"]
    assert not [entry for entry in seen["path"] if "site-packages" in entry and "/fc/python/" not in entry]
    assert set(variables) == {
        *("PYTHONPATH", "OWN", "LIST", "NOTES", "PATH", "TZ", "LANG", "HOME", "TMPDIR"),
        *("FC_ACCOUNT_ID", "FC_REGION", "FC_FUNCTION_NAME", "FC_FUNCTION_HANDLER", "FC_FUNCTION_MEMORY_SIZE"),
        *("FC_FUNCTION_VERSION", "FC_FUNC_CODE_PATH", "FC_INSTANCE_ID", "FC_CUSTOM_LISTEN_PORT", "FC_SERVER_PORT"),
        *("ISI_LISTEN_HOST", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    }
    assert variables["TZ"] == "UTC"


async def test_the_interpreter_has_no_packages(lab: Any) -> None:
    code = lab.models.InputCodeLocation(zip_file=make_zip({"main.py": "import aiohttp"}))
    url = await lab.create(code=code)
    async with lab.http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (412, "CAExited")
    assert "ModuleNotFoundError" in (lab.root / "logs" / "probe.jsonl").read_text()


async def test_credentials_come_with_each_request_and_rotate_with_the_clock(lab: Any) -> None:
    url = await lab.create(role="acs:ram::1234567890123456:role/probe-role")
    first = CIMultiDict((await lab.get(url))["headers"])
    key = lab.account.find(first["x-fc-access-key-id"])
    assert key.principal == "role/probe-role"
    assert (key.access_key_secret, key.security_token) == (
        first["x-fc-access-key-secret"],
        first["x-fc-security-token"],
    )
    lab.clock.move(3600)
    second = CIMultiDict((await lab.get(url))["headers"])
    assert second["x-fc-access-key-id"] != first["x-fc-access-key-id"]
    variables = (await lab.get(url + "/environment"))["variables"]
    assert variables["ALIBABA_CLOUD_ACCESS_KEY_ID"] == first["x-fc-access-key-id"], "the environment's stay"


async def test_no_role_means_no_credentials(lab: Any) -> None:
    url = await lab.create()
    assert "x-fc-access-key-id" not in CIMultiDict((await lab.get(url))["headers"])
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" not in (await lab.get(url + "/environment"))["variables"]


async def test_injection_can_be_switched_off(lab: Any) -> None:
    url = await lab.create(role="acs:ram::1234567890123456:role/r", disable_inject_credentials="Env")
    assert "x-fc-access-key-id" in CIMultiDict((await lab.get(url))["headers"])
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" not in (await lab.get(url + "/environment"))["variables"]


async def test_what_a_function_prints_is_in_its_log_line_by_line(lab: Any) -> None:
    line = json.dumps({"event": "host.started", "text": "你好"}, ensure_ascii=False)
    url = await lab.create(environment_variables={"SAY": line})
    await lab.get(url)
    lines = (lab.root / "logs" / "probe.jsonl").read_text().splitlines()
    assert lines[:2] == [line, "to stderr"]


async def test_a_log_line_is_cut_at_32_kb(lab: Any) -> None:
    url = await lab.create()
    await lab.get(url)
    await lab.invoke({"do": "say", "text": "x" * 50_000})
    await lab.invoke({"do": "say", "text": "short"})
    log = lab.root / "logs" / "probe.jsonl"
    await lab.eventually(lambda: "short" in log.read_text())
    assert [len(line) for line in log.read_text().splitlines()] == [32 * 1024, 5]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["/code/absent"], "CAFileNotFound"),
        (["/code/main.py"], "CAFilePermission"),
        (["python3", "-c", "1"], "CAExited"),
    ],
)
async def test_a_command_that_cannot_be_started_is_named(lab: Any, command: list[str], code: str) -> None:
    url = await lab.create(custom_runtime_config=lab.models.CustomRuntimeConfig(command=command))
    async with lab.http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (412, code)
    assert await lab.eventually(lambda: not lab.fc.instances()) is True


async def test_layers_are_merged_the_first_listed_wins_and_modes_are_kept(lab: Any) -> None:
    arns = []
    for number, text in enumerate(("first", "second")):
        source = lab.root / f"layer{number}.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("both.txt", text)
            archive.writestr(f"only-{text}.txt", text)
            tool = zipfile.ZipInfo(f"bin/tool{number}")
            tool.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(tool, "#!/bin/sh\n")
        given = lab.models.CreateLayerVersionInput(
            code=lab.models.InputCodeLocation(zip_file=_base64(source)), compatible_runtime=["custom.debian12"]
        )
        request = lab.models.CreateLayerVersionRequest(body=given)
        arns.append((await lab.call("create_layer_version", f"layer{number}", request)).layer_version_arn)
    url = await lab.create(layers=arns, environment_variables={"OPT": "/opt"})
    opt = Path((await lab.get(url + "/environment"))["variables"]["OPT"])
    assert (opt / "both.txt").read_text() == "first"
    assert (opt / "only-second.txt").read_text() == "second"
    assert (opt / "bin" / "tool1").stat().st_mode & 0o111


def _base64(path: Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


async def test_the_initializer_runs_once_before_the_first_request(lab: Any) -> None:
    hooks = lab.models.InstanceLifecycleConfig(initializer=lab.models.LifecycleHook(handler="initialize", timeout=5))
    url = await lab.create(instance_lifecycle_config=hooks)
    await lab.get(url)
    await lab.get(url)
    assert [(note["control"], note["method"]) for note in lab.noted()] == [("/initialize", "POST")]


async def test_a_failed_initializer_fails_the_invocation_and_the_next_tries_anew(lab: Any) -> None:
    hooks = lab.models.InstanceLifecycleConfig(initializer=lab.models.LifecycleHook(handler="initialize", timeout=5))
    await lab.create_function(instance_lifecycle_config=hooks, environment_variables={"FAIL_INITIALIZER": "1"})
    for _ in range(2):
        answer = await lab.invoke({})
        assert (answer.status_code, answer.headers["x-fc-error-type"]) == (200, "InitializationError")
    assert len(lab.noted()) == 2


async def test_the_pre_stop_hook_runs_when_an_instance_is_stopped(lab: Any) -> None:
    hooks = lab.models.InstanceLifecycleConfig(pre_stop=lab.models.LifecycleHook(handler="pre_stop", timeout=3))
    url = await lab.create(instance_lifecycle_config=hooks)
    await lab.get(url)
    await lab.call("delete_trigger", "probe", "http")
    await lab.call("delete_function", "probe")
    notes = await lab.eventually(lab.noted)
    assert [(note["control"], note["method"]) for note in notes] == [("/pre-stop", "GET")]


async def test_a_process_that_an_instance_started_ends_with_it(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/child") as answer:
        child = int(await answer.text())
    assert alive(child)
    assert await lab.status(url + "/crash") == 502
    await lab.eventually(lambda: not alive(child))


async def test_the_home_of_an_instance_goes_with_it(lab: Any) -> None:
    url = await lab.create()
    home = Path((await lab.get(url + "/environment"))["variables"]["HOME"])
    assert home.is_dir()  # noqa: ASYNC240
    async with lab.http.get(url + "/crash"):
        pass
    await lab.eventually(lambda: not home.exists())


async def test_python_is_the_version_of_this_interpreter(lab: Any) -> None:
    url = await lab.create()
    path = (await lab.get(url + "/environment"))["path"]
    assert any(f"python{sys.version_info.major}.{sys.version_info.minor}" in entry for entry in path)
