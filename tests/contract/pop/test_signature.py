"""The signature of POP's RPC style, against published vectors and the SDK's own composer."""

from __future__ import annotations

import re
import socket
import time
import uuid
from typing import Any

import pytest
import requests
from aliyunsdkcore.acs_exception.exceptions import ServerException

from localcloud.account import AccessKey
from localcloud.pop.signature import signature, string_to_sign

from .conftest import Server

VECTOR = {
    "AccessKeyId": "testid",
    "Action": "CreateToken",
    "Version": "2019-02-28",
    "Format": "JSON",
    "RegionId": "cn-shanghai",
    "Timestamp": "2019-04-18T08:32:31Z",
    "SignatureMethod": "HMAC-SHA1",
    "SignatureVersion": "1.0",
    "SignatureNonce": "b924c8c3-6d03-4c5d-ad36-d984d3116788",
}


@pytest.mark.parametrize(
    ("method", "extra", "expected"),
    [
        ("GET", {}, "z/FNfgKM5ti04NXV7KI4xbqt5tI="),
        ("POST", {}, "YVSeOJAiTI4tf75Pm1dAbzjcIdU="),
        ("POST", {"SignatureType": ""}, "HQwzYI2gA0lKMunFjTmDJ8gyqlI="),  # what aliyunsdkcore really sends
    ],
)
def test_the_known_vectors_come_out(method: str, extra: dict[str, str], expected: str) -> None:
    parameters = {**VECTOR, **extra, "Signature": "is not signed"}
    assert signature("testsecret", string_to_sign(method, parameters.items())) == expected


def parameters_of(server: Server, **changes: str) -> dict[str, str]:
    root = server.account.root
    fresh = {
        **VECTOR,
        "AccessKeyId": root.access_key_id,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "SignatureNonce": uuid.uuid4().hex,
    }
    merged = {**fresh, **changes}
    return {name: value for name, value in merged.items() if value != "-"}


def send(server: Server, parameters: dict[str, str], method: str = "GET", *, secret: str = "") -> requests.Response:
    secret = secret or server.account.root.access_key_secret
    signed = {**parameters, "Signature": signature(secret, string_to_sign(method, parameters.items()))}
    where: dict[str, Any] = {"params": signed} if method == "GET" else {"data": signed}
    return requests.request(method, f"http://{server.host}/", timeout=10, **where)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("session", [False, True], ids=["key", "session"])
def test_the_sdk_is_understood(server: Server, method: str, session: bool) -> None:
    key = server.account.open_session("role/functions") if session else None
    assert server.call(key=key, method=method)["Token"]["Id"]


def test_query_and_form_are_signed_together(server: Server) -> None:
    arn = f"acs:ram::{server.account.account_id}:role/leases"
    answer = server.call(
        "AssumeRole", "2015-04-01", query={"RoleArn": arn}, body={"RoleSessionName": "a.b@c", "Note": "中文 +*~ &=/"}
    )
    assert answer["AssumedRoleUser"]["Arn"].endswith(":role/leases/a.b@c")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", ["", "-"], ids=["SignatureType empty", "SignatureType absent"])
def test_parameters_come_in_the_query_or_in_the_form(server: Server, method: str, kind: str) -> None:
    assert send(server, parameters_of(server, SignatureType=kind), method).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"AccessKeyId": "LTAInobody"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"AccessKeyId": "-"}, 400, "MissingAccessKeyId"),
        ({"Action": "-"}, 400, "MissingAction"),
        ({"Version": "-"}, 400, "MissingVersion"),
        ({"Timestamp": "-"}, 400, "MissingTimestamp"),
        ({"SignatureNonce": "-"}, 400, "MissingSignatureNonce"),
        ({"Timestamp": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2019-04-18T08:32:31Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": "2119-04-18T08:32:31Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"SignatureMethod": "HMAC-SHA256"}, 400, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, 400, "InvalidSignatureVersion"),
        ({"SecurityToken": "CAISnone"}, 403, "InvalidSecurityToken.MismatchWithAccessKey"),
        ({"Action": "CreateRole"}, 404, "InvalidAction.NotFound"),
        ({"Action": "createtoken"}, 404, "InvalidAction.NotFound"),
        ({"Version": "2018-05-18"}, 400, "InvalidVersion"),
        ({"Format": "XML"}, 501, "NotImplemented"),
    ],
)
def test_a_wrong_parameter_is_refused_in_pops_json(
    server: Server, changes: dict[str, str], status: int, code: str
) -> None:
    response = send(server, parameters_of(server, **changes))
    document = response.json()
    assert (response.status_code, document["Code"]) == (status, code)
    assert set(document) == {"Code", "Message", "RequestId", "HostId", "Recommend"}
    assert document["HostId"] == server.host
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", document["RequestId"])
    assert response.headers["Content-Type"].startswith("application/json")


def test_a_wrong_secret_is_refused_with_what_was_signed(server: Server) -> None:
    root = server.account.root
    with pytest.raises(ServerException) as caught:
        server.call(key=AccessKey(root.access_key_id, "wrong"))
    # the SDK compares the string in the message with its own, and says InvalidAccessKeySecret when they agree
    assert caught.value.get_error_code() in ("SignatureDoesNotMatch", "InvalidAccessKeySecret")
    assert caught.value.get_http_status() == 400
    response = send(server, parameters_of(server), secret="wrong")
    assert response.json()["Code"] == "SignatureDoesNotMatch"


def test_a_changed_parameter_breaks_the_signature(server: Server) -> None:
    parameters = parameters_of(server)
    signed = signature(server.account.root.access_key_secret, string_to_sign("GET", parameters.items()))
    changed = {**parameters, "RegionId": "cn-beijing", "Signature": signed}
    response = requests.get(f"http://{server.host}/", params=changed, timeout=10)
    assert response.json()["Code"] == "SignatureDoesNotMatch"
    as_post = requests.post(f"http://{server.host}/", params={**parameters, "Signature": signed}, timeout=10)
    assert as_post.json()["Code"] == "SignatureDoesNotMatch"


def test_a_nonce_is_good_for_one_request(server: Server) -> None:
    parameters = parameters_of(server)
    assert send(server, parameters).status_code == 200
    replayed = send(server, parameters)
    assert (replayed.status_code, replayed.json()["Code"]) == (400, "SignatureNonceUsed")
    assert send(server, parameters, "POST").json()["Code"] == "SignatureNonceUsed"
    assert send(server, {**parameters, "SignatureNonce": uuid.uuid4().hex}).status_code == 200


def test_a_forged_request_does_not_use_up_a_nonce(server: Server) -> None:
    parameters = parameters_of(server)
    assert send(server, parameters, secret="wrong").json()["Code"] == "SignatureDoesNotMatch"
    assert send(server, parameters).status_code == 200


def test_a_session_needs_its_own_living_token(server: Server) -> None:
    one = server.account.open_session("a", life_seconds=900)
    other = server.account.open_session("b")
    cases = [
        (AccessKey(one.access_key_id, one.access_key_secret), 400, "MissingSecurityToken"),
        (
            AccessKey(one.access_key_id, one.access_key_secret, other.security_token),
            403,
            "InvalidSecurityToken.MismatchWithAccessKey",
        ),
    ]
    for key, status, code in cases:
        with pytest.raises(ServerException) as caught:
            server.call(key=key)
        assert (caught.value.get_http_status(), caught.value.get_error_code()) == (status, code)
    server.call(key=one)
    server.clock.move(901)
    with pytest.raises(ServerException) as caught:
        server.call(key=one)
    assert (caught.value.get_http_status(), caught.value.get_error_code()) == (403, "InvalidSecurityToken.Expired")


def test_moving_the_clock_does_not_lock_clients_out(server: Server) -> None:
    server.clock.move(24 * 3600)
    assert server.call()["Token"]["ExpireTime"] > time.time() + 47 * 3600


@pytest.mark.parametrize("path", ["/pop/2018-05-18/tokens", "/anything"])
def test_other_paths_are_not_found(server: Server, path: str) -> None:
    response = requests.post(f"http://{server.host}{path}", timeout=10)
    assert (response.status_code, response.json()["Code"]) == (404, "InvalidAction.NotFound")


def test_a_huge_body_is_refused_in_pops_json(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = requests.post(f"http://{server.host}/", data=b"a" * (1024 * 1024 + 1), headers=form, timeout=10)
    assert (answer.status_code, answer.json()["Code"]) == (413, "RequestEntityTooLarge")


def test_a_body_that_does_not_come_is_refused_in_pops_json(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.pop.app.BODY_SECONDS", 0.2)
    host, port = server.host.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=")
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):  # the service closes what it cannot use again
            continue


@pytest.mark.parametrize("query", ["", "?%", "?Action=%FF%FE", "?=&&=", "?Action=CreateToken&Action=AssumeRole"])
def test_malformed_queries_are_refused_in_pops_json(server: Server, query: str) -> None:
    answer = requests.get(f"http://{server.host}/{query}", timeout=10)
    assert answer.status_code == 400
    assert answer.json()["Code"].startswith("Missing")


def test_other_methods_are_refused(server: Server) -> None:
    put = requests.put(f"http://{server.host}/", timeout=10)
    assert (put.status_code, put.json()["Code"]) == (403, "UnsupportedHTTPMethod")
