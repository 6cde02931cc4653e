"""CreateToken and AssumeRole, and their failures on demand."""

from __future__ import annotations

import calendar
import re
import time

import pytest
from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException

from localcloud.account import AccessKey

from .conftest import Server


def refusal(call: object, *arguments: object, **options: object) -> tuple[int, str]:
    with pytest.raises(ServerException) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return caught.value.get_http_status(), caught.value.get_error_code()


def test_a_token_is_answered_in_the_documented_shape(server: Server) -> None:
    answer = server.call()
    assert set(answer) == {"NlsRequestId", "RequestId", "Token"}
    assert set(answer["Token"]) == {"ExpireTime", "Id", "UserId"}
    assert re.fullmatch("[0-9a-f]{32}", answer["Token"]["Id"])
    assert re.fullmatch("[0-9a-f]{32}", answer["NlsRequestId"])
    assert answer["Token"]["ExpireTime"] == pytest.approx(time.time() + 24 * 3600, abs=30)
    assert isinstance(answer["Token"]["ExpireTime"], int)
    assert answer["Token"]["UserId"] == server.account.account_id


def test_a_new_token_leaves_the_earlier_ones_valid(server: Server) -> None:
    tokens = [server.call()["Token"]["Id"] for _ in range(3)]
    assert len(set(tokens)) == 3
    assert {server.account.speech_token_state(token) for token in tokens} == {"ok"}


def test_the_speech_sdks_own_helper_gets_a_token(server: Server) -> None:
    from nls.token import getToken

    root = server.account.root
    token = getToken(root.access_key_id, root.access_key_secret, domain="cn-shanghai", url=server.host)
    assert server.account.speech_token_state(token) == "ok"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_international_version_is_the_same(server: Server, method: str) -> None:
    assert server.account.speech_token_state(server.call(version="2019-07-17", method=method)["Token"]["Id"]) == "ok"


def test_an_answer_can_come_without_anything_in_it(server: Server) -> None:
    server.faults.arm(operation="pop.CreateToken", action="empty")
    assert set(server.call()) == {"RequestId"}


def test_a_business_failure_is_an_http_200_without_a_token(server: Server) -> None:
    server.faults.arm(operation="pop.CreateToken", action="business")
    answer = server.call()
    assert (answer["ErrCode"], answer["ErrMsg"]) == (40020503, "No permission")
    assert "Token" not in answer
    server.faults.arm(operation="pop.CreateToken", action="business", code="40020502", value="no such user")
    answer = server.call()
    assert (answer["ErrCode"], answer["ErrMsg"]) == (40020502, "no such user")


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"code": "Throttling.User"}, 400, "Throttling.User"),
        ({"status": 400}, 400, "Throttling.User"),
        ({"status": 503}, 503, "ServiceUnavailable"),
        ({}, 500, "InternalError"),
        ({"code": "Forbidden.RAM", "status": 403}, 403, "Forbidden.RAM"),
    ],
)
def test_a_refusal_on_demand(server: Server, settings: dict[str, object], status: int, code: str) -> None:
    server.faults.arm(operation="pop.CreateToken", action="error", **settings)
    assert refusal(server.call) == (status, code)
    assert server.call()["Token"]
    assert server.faults.counters() == {"pop.CreateToken": 2}


def test_a_dropped_call_is_a_network_error(server: Server) -> None:
    server.faults.arm(operation="pop.CreateToken", action="drop")
    with pytest.raises(ClientException):
        server.call()
    assert server.call()["Token"]


def test_an_assumed_role_signs_calls_until_it_expires(server: Server) -> None:
    arn = f"acs:ram::{server.account.account_id}:role/Leases"
    query = {"RoleArn": arn, "RoleSessionName": "tenant-1", "DurationSeconds": "900"}
    answer = server.call("AssumeRole", "2015-04-01", query=query)
    assert set(answer) == {"RequestId", "AssumedRoleUser", "Credentials"}
    assert answer["AssumedRoleUser"]["Arn"] == f"acs:ram::{server.account.account_id}:role/leases/tenant-1"
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":tenant-1")
    held = answer["Credentials"]
    expires_at = calendar.timegm(time.strptime(held["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
    assert expires_at == pytest.approx(time.time() + 900, abs=30)
    key = AccessKey(held["AccessKeyId"], held["AccessKeySecret"], held["SecurityToken"])
    assert server.call(key=key)["Token"]
    server.clock.move(901)
    assert refusal(server.call, key=key) == (403, "InvalidSecurityToken.Expired")


def test_a_role_is_assumed_for_an_hour_unless_told(server: Server) -> None:
    query = {"RoleArn": f"acs:ram::{server.account.account_id}:role/leases", "RoleSessionName": "tenant-1"}
    held = server.call("AssumeRole", "2015-04-01", query=query)["Credentials"]
    expires_at = calendar.timegm(time.strptime(held["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
    assert expires_at == pytest.approx(time.time() + 3600, abs=30)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"RoleArn": ""}, 400, "MissingRoleArn"),
        ({"RoleSessionName": ""}, 400, "MissingRoleSessionName"),
        ({"RoleArn": "role/leases"}, 400, "InvalidParameter.RoleArn"),
        ({"RoleArn": "acs:ram::999:role/leases"}, 404, "EntityNotExist.Role"),
        ({"RoleSessionName": "a b"}, 400, "InvalidParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, 400, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "43201"}, 400, "InvalidParameter.DurationSeconds"),
        ({"Policy": "{}"}, 501, "NotImplemented"),
    ],
)
def test_a_wrong_assumption_is_refused(server: Server, changes: dict[str, str], status: int, code: str) -> None:
    query = {"RoleArn": f"acs:ram::{server.account.account_id}:role/leases", "RoleSessionName": "tenant-1", **changes}
    assert refusal(server.call, "AssumeRole", "2015-04-01", query=query) == (status, code)


FOREIGN = "acs:ram::6543210987654321:role/Leases"


def test_a_role_of_another_account_gives_tokens_of_that_account(server: Server) -> None:
    server.account.lend(FOREIGN, "role/speech-token-dev")
    caller = server.account.open_session("role/speech-token-dev")
    query = {"RoleArn": FOREIGN, "RoleSessionName": "tenant-1"}
    answer = server.call("AssumeRole", "2015-04-01", key=caller, query=query)
    assert answer["AssumedRoleUser"]["Arn"] == "acs:ram::6543210987654321:role/leases/tenant-1"
    held = answer["Credentials"]
    key = AccessKey(held["AccessKeyId"], held["AccessKeySecret"], held["SecurityToken"])
    assert server.call(key=key)["Token"]["UserId"] == "6543210987654321"
    assert server.call()["Token"]["UserId"] == server.account.account_id


def test_a_role_of_another_account_that_does_not_trust_the_caller_refuses_him(server: Server) -> None:
    server.account.lend(FOREIGN, "role/speech-token-dev")
    query = {"RoleArn": FOREIGN, "RoleSessionName": "tenant-1"}
    for key in (server.account.root, server.account.open_session("role/speech-tts-dev")):
        assert refusal(server.call, "AssumeRole", "2015-04-01", key=key, query=query) == (403, "NoPermission")


def test_a_token_can_be_made_to_live_shorter(server: Server) -> None:
    server.faults.arm(operation="pop.CreateToken", action="life", seconds=90)
    assert server.call()["Token"]["ExpireTime"] == pytest.approx(time.time() + 90, abs=30)
