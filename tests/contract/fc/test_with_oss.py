"""Function Compute beside OSS: rotating credentials that OSS judges, and packages that lie in a bucket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fc2
import oss2
import pytest
from aiohttp import web

from localcloud import oss
from localcloud.code_in_oss import CodeInOss
from support.fc_lab import SOURCE, make_zip

ROLE = "acs:ram::1234567890123456:role/reader"
HOUR = 3600


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A store whose clock is the lab's once there is a lab."""
    clock = SimpleNamespace(now=lambda: 0.0)
    store = oss.FileStore(tmp_path / "oss", clock)  # type: ignore[arg-type]
    return {"code_store": CodeInOss(store, "fc-temp-code"), "stall_seconds": 5.0}


@pytest.fixture
async def storage(lab: Any, settings: dict[str, Any]) -> AsyncIterator[Any]:
    """The store's door, with a client of the account's root."""
    store = settings["code_store"]._store
    store.clock = lab.clock
    runner = web.AppRunner(oss.make_app(store, lab.account, lab.faults, lab.clock, lambda _: None), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    store.create_bucket("packages")
    root = lab.account.root
    yield SimpleNamespace(endpoint=endpoint, auth=oss2.Auth(root.access_key_id, root.access_key_secret), store=store)
    await runner.cleanup()
    store.close()


async def put(storage: Any, key: str, data: bytes, bucket: str = "packages", auth: Any = None) -> None:
    target = oss2.Bucket(auth or storage.auth, storage.endpoint, bucket)
    await asyncio.to_thread(target.put_object, key, data)


async def deploy_reader(lab: Any, storage: Any) -> str:
    await put(storage, "note", b"read")
    source = Path(__file__).with_name("oss_caller.py.txt").read_text()
    code = lab.models.InputCodeLocation(zip_file=make_zip({"main.py": source}))
    variables = {"OSS": storage.endpoint, "OBJECT": "/packages/note"}
    url: str = await lab.create(role=ROLE, code=code, environment_variables=variables)
    return url


async def test_requests_bring_new_credentials_and_old_ones_are_refused_by_oss(lab: Any, storage: Any) -> None:
    url = await deploy_reader(lab, storage)
    first = await lab.get(url)
    assert first["request"] == first["environment"] == [200, "read"]
    assert first["same"], "an instance starts with what its first request brings"
    lab.clock.move(6 * 60)
    second = await lab.get(url)
    assert not second["same"], "within minutes requests bring newer ones"
    assert second["environment"] == [200, "read"], "but those of the start still live"
    lab.clock.move(37 * HOUR)
    third = await lab.get(url)
    assert third["request"] == [200, "read"]
    assert third["environment"] == third["kept"] == [403, "SecurityTokenExpired"]


async def test_every_start_of_an_instance_brings_new_credentials(lab: Any, storage: Any) -> None:
    url = await deploy_reader(lab, storage)
    await lab.get(url)
    lab.clock.move(37 * HOUR)
    lab.fc.instances()[0].kill("test")
    await lab.eventually(lambda: lab.fc.instances() == [])
    assert (await lab.get(url))["environment"] == [200, "read"]


def from_oss(lab: Any, key: str, bucket: str = "packages", **settings: Any) -> Any:
    return lab.models.InputCodeLocation(oss_bucket_name=bucket, oss_object_name=key, **settings)


async def test_code_is_taken_from_a_bucket(lab: Any, storage: Any) -> None:
    await put(storage, "code.zip", base64.b64decode(make_zip({"main.py": SOURCE})))
    await lab.create_function(code=from_oss(lab, "code.zip"))
    assert (await lab.invoke({"a": 1})).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("key", "bucket", "extra"),
    [
        ("missing.zip", "packages", {}),
        ("code.zip", "no-such-bucket", {}),
        ("text", "packages", {}),
        ("code.zip", "packages", {"checksum": "1"}),
    ],
)
async def test_a_package_that_is_not_there_or_not_whole_is_refused(
    lab: Any, storage: Any, key: str, bucket: str, extra: dict[str, str]
) -> None:
    await put(storage, "code.zip", base64.b64decode(make_zip({"main.py": SOURCE})))
    await put(storage, "text", b"this is no zip")
    request = lab.models.CreateFunctionRequest(body=lab.function_input(code=from_oss(lab, key, bucket, **extra)))
    assert await lab.refusal("create_function", request) == (400, "InvalidArgument")


async def test_a_deployer_uploads_to_the_bucket_that_is_lent_and_deploys_from_it(lab: Any, storage: Any) -> None:
    root = lab.account.root
    old = fc2.Client(
        endpoint=f"http://{lab.endpoint}", accessKeyID=root.access_key_id, accessKeySecret=root.access_key_secret
    )
    path = "/2016-08-15/tempBucketToken"
    answer = await asyncio.to_thread(old._do_request, "GET", path, old._build_common_headers("GET", path))
    lent = answer.json()
    keys = lent["credentials"]
    auth = oss2.StsAuth(keys["AccessKeyId"], keys["AccessKeySecret"], keys["SecurityToken"])
    key = f"{lab.account.account_id}/{lent['objectName']}"
    await put(storage, key, base64.b64decode(make_zip({"main.py": SOURCE})), lent["ossBucket"], auth)
    await lab.create_function(code=from_oss(lab, key, lent["ossBucket"]))
    assert (await lab.invoke({"a": 1})).body == b'{"a": 1}'
