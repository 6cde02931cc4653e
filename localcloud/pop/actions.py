"""The actions served: CreateToken of the speech service and AssumeRole of STS."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.account import AccessKey, Account
from localcloud.pop.errors import PopError
from localcloud.pop.gateway import RpcRequest

_ROLE_ARN = re.compile(r"acs:ram::(\d+):role/([\w.@-]{1,64})", re.IGNORECASE)
_SESSION_NAME = re.compile(r"[\w.@=-]{2,64}", re.ASCII)
_MIN_DURATION_SECONDS, _MAX_DURATION_SECONDS, _DEFAULT_DURATION_SECONDS = 900, 43200, 3600


@dataclass(frozen=True, slots=True)
class Action:
    """An action by name and API version; `perform` answers what is added to the RequestId."""

    name: str
    version: str
    perform: Callable[[Account, AccessKey, RpcRequest], dict[str, Any]]


def create_token(account: Account, key: AccessKey, request: RpcRequest) -> dict[str, Any]:
    """A speech token that lives as long as its ExpireTime (epoch seconds) says; earlier tokens stay valid."""
    token, expires_at = account.new_speech_token()
    return {
        "NlsRequestId": secrets.token_hex(16),
        "Token": {"ExpireTime": expires_at, "Id": token, "UserId": account.account_id},
    }


def assume_role(account: Account, key: AccessKey, request: RpcRequest) -> dict[str, Any]:
    """Temporary credentials of a role. Any role of the account may be assumed; a policy is not served.

    Source: api.aliyun.com, Sts 2015-04-01, AssumeRole.
    """
    match = _ROLE_ARN.fullmatch(request.need("RoleArn"))
    if match is None:
        raise PopError("InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.", status=400)
    if match[1] != account.account_id:
        raise PopError("EntityNotExist.Role")
    session_name = request.need("RoleSessionName")
    if not _SESSION_NAME.fullmatch(session_name):
        raise PopError(
            "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.", status=400
        )
    if request.get("Policy") or request.get("ExternalId"):
        raise PopError("NotImplemented", "localcloud does not serve Policy or ExternalId of AssumeRole.")
    duration = _duration(request.get("DurationSeconds"))
    role = match[2].lower()
    principal = f"acs:ram::{account.account_id}:role/{role}/{session_name}"
    session = account.open_session(principal, duration)
    expires_at = session.expires_at or 0.0
    return {
        "AssumedRoleUser": {"Arn": principal, "AssumedRoleId": f"3{secrets.randbelow(10**17):017d}:{session_name}"},
        "Credentials": {
            "SecurityToken": session.security_token,
            "AccessKeyId": session.access_key_id,
            "AccessKeySecret": session.access_key_secret,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_at)),
        },
    }


def _duration(text: str) -> int:
    if not text:
        return _DEFAULT_DURATION_SECONDS
    if not (text.isascii() and text.isdigit() and _MIN_DURATION_SECONDS <= int(text) <= _MAX_DURATION_SECONDS):
        message = "The Min/Max value of DurationSeconds is 15min/12hr."
        raise PopError("InvalidParameter.DurationSeconds", message, status=400)
    return int(text)


ACTIONS = (
    Action("CreateToken", "2019-02-28", create_token),
    Action("AssumeRole", "2015-04-01", assume_role),
)


def find(request: RpcRequest) -> Action:
    """The action a request names; `InvalidAction.NotFound` or `InvalidVersion`."""
    named = [action for action in ACTIONS if action.name == request.need("Action")]
    if not named:
        raise PopError("InvalidAction.NotFound")
    for action in named:
        if action.version == request.get("Version"):
            return action
    raise PopError("InvalidVersion")


def business_failure(code: str, message: str) -> dict[str, Any]:
    """How the speech service refuses inside an HTTP 200: no Token, an ErrCode and an ErrMsg.

    The default is that of a RAM user who may not use the service.
    """
    number = json.loads(code) if code.isdigit() else 40020503
    return {"NlsRequestId": secrets.token_hex(16), "ErrCode": number, "ErrMsg": message or "No permission"}
