"""The third signature: the official Tea SDK unmodified, and what must not pass."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import pytest
import requests
from alibabacloud_tea_openapi.client import Client
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from alibabacloud_tea_util.models import RuntimeOptions
from Tea.exceptions import TeaException

from localcloud.account import AccessKey

from .conftest import Server


def tea(
    server: Server,
    action: str = "CreateToken",
    version: str = "2019-02-28",
    *,
    key: AccessKey | None = None,
    method: str = "POST",
    query: dict[str, str] | None = None,
    body: dict[str, str] | None = None,
) -> dict[str, Any]:
    """One RPC call as the generated Tea clients make it."""
    key = key or server.account.root
    config = Config(
        access_key_id=key.access_key_id,
        access_key_secret=key.access_key_secret,
        security_token=key.security_token or None,
        endpoint=server.host,
        protocol="HTTP",
        region_id="cn-shanghai",
    )
    params = Params(
        action=action,
        version=version,
        protocol="HTTP",
        pathname="/",
        method=method,
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    request = OpenApiRequest(query=query, body=body)
    answer: dict[str, Any] = Client(config).call_api(params, request, RuntimeOptions(autoretry=False))["body"]
    return answer


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("version", ["2019-02-28", "2019-07-17"])
@pytest.mark.parametrize("session", [False, True], ids=["key", "session"])
def test_the_tea_sdk_gets_a_token(server: Server, method: str, version: str, session: bool) -> None:
    key = server.account.open_session("role/functions") if session else None
    answer = tea(server, version=version, method=method, key=key)
    assert server.account.speech_token_state(answer["Token"]["Id"]) == "ok"


def test_the_tea_sdk_submits_a_task_in_a_form_and_asks_for_it_in_the_query(server: Server) -> None:
    task = {"appkey": server.account.add_project().appkey, "file_link": "http://localhost:1/中文+~*.wav"}
    answer = tea(server, "SubmitTask", "2018-08-17", body={"Task": json.dumps(task, ensure_ascii=False)})
    assert answer["StatusCode"] == 21050000
    state = tea(server, "GetTaskResult", "2018-08-17", method="GET", query={"TaskId": answer["TaskId"]})
    assert state["TaskId"] == answer["TaskId"]


def test_a_wrong_secret_is_refused(server: Server) -> None:
    root = server.account.root
    with pytest.raises(TeaException) as caught:
        tea(server, key=AccessKey(root.access_key_id, "wrong"))
    assert caught.value.code == "SignatureDoesNotMatch"


def test_an_expired_session_is_refused(server: Server) -> None:
    key = server.account.open_session("role/functions", 900)
    server.clock.move(901)
    with pytest.raises(TeaException) as caught:
        tea(server, key=key)
    assert caught.value.code == "InvalidSecurityToken.Expired"


def signed(server: Server, body: bytes = b"", **changes: str) -> dict[str, str]:
    """The headers of a CreateToken call, signed by hand; `-` leaves a header out."""
    headers = {
        "host": server.host,
        "x-acs-action": "CreateToken",
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-version": "2019-02-28",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {name: value for name, value in headers.items() if value != "-"}
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    canonical = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret, key_id = server.account.root.access_key_secret, server.account.root.access_key_id
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return headers | {
        "Authorization": f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}"
    }


def post(server: Server, headers: dict[str, str], body: bytes = b"") -> tuple[int, str]:
    answer = requests.post(f"http://{server.host}/", data=body, headers=headers, timeout=10)
    return answer.status_code, answer.json().get("Code", "")


def test_a_request_signed_by_hand_is_good_once(server: Server) -> None:
    headers = signed(server)
    assert post(server, headers) == (200, "")
    assert post(server, headers) == (400, "SignatureNonceUsed")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"x_acs_date": "2019-04-18T08:32:31Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"x_acs_date": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"x_acs_date": "-"}, 400, "MissingParameter"),
        ({"x_acs_signature_nonce": "-"}, 400, "MissingParameter"),
        ({"x_acs_content_sha256": "0" * 64}, 400, "SignatureDoesNotMatch"),
        ({"x_acs_version": "2018-01-01"}, 400, "InvalidVersion"),
        ({"x_acs_action": "DropAll"}, 404, "InvalidAction.NotFound"),
    ],
)
def test_a_wrong_header_is_refused(server: Server, changes: dict[str, str], status: int, code: str) -> None:
    assert post(server, signed(server, **changes)) == (status, code)


def test_what_is_not_signed_is_refused(server: Server) -> None:
    assert post(server, signed(server) | {"x-acs-extra": "1"}) == (400, "SignatureDoesNotMatch")
    assert post(server, signed(server), b"a=b") == (400, "SignatureDoesNotMatch")
    malformed = {"Authorization": "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c"}
    assert post(server, malformed) == (400, "InvalidSignatureMethod")
