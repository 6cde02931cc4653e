"""The actions served: CreateToken and file transcription of the speech service, and AssumeRole of STS."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.account import TOKEN_LIFE_SECONDS, AccessKey, Account
from localcloud.faults import Fault
from localcloud.pop.errors import PopError
from localcloud.pop.filetrans import FileService, documents
from localcloud.pop.filetrans.order import read_order
from localcloud.pop.filetrans.statuses import FileRefusal
from localcloud.pop.gateway import RpcRequest

_ROLE_ARN = re.compile(r"acs:ram::(\d+):role/([\w.@-]{1,64})", re.IGNORECASE)
_PRINCIPAL = re.compile(r"acs:ram::(\d+):")
_SESSION_NAME = re.compile(r"[\w.@=-]{2,64}", re.ASCII)
_MIN_DURATION_SECONDS, _MAX_DURATION_SECONDS, _DEFAULT_DURATION_SECONDS = 900, 43200, 3600


@dataclass(frozen=True, slots=True)
class Call:
    """An admitted request, and what actions work with. `files` is None where no engine was given."""

    account: Account
    key: AccessKey
    request: RpcRequest
    files: FileService | None


@dataclass(frozen=True, slots=True)
class Action:
    """An action by name and API version.

    `perform` answers what is added to the RequestId; `failure` is how its service refuses inside an HTTP 200, by a
    fault's code and value.
    """

    name: str
    version: str
    perform: Callable[[Call], dict[str, Any]]
    failure: Callable[[Call, str, str], dict[str, Any]]


def create_token(call: Call, life_seconds: float = TOKEN_LIFE_SECONDS) -> dict[str, Any]:
    """A speech token that lives as long as its ExpireTime (epoch seconds) says; earlier tokens stay valid.

    It is of the account that signed, which for an assumed role can be another one. That an AppKey belongs to the same
    account as the token (40020106) is not checked: there is one speech service with one account's AppKeys.
    """
    token, expires_at = call.account.new_speech_token(life_seconds)
    match = _PRINCIPAL.match(call.key.principal)
    return {
        "NlsRequestId": secrets.token_hex(16),
        "Token": {
            "ExpireTime": expires_at,
            "Id": token,
            "UserId": call.account.account_id if match is None else match[1],
        },
    }


def assume_role(call: Call) -> dict[str, Any]:
    """Temporary credentials of a role. A policy is not served.

    Any role of the account may be assumed. One of another account must exist (`Account.lend`) and trust who calls, else
    STS answers 403 `NoPermission`, as it does to a caller without the right to assume roles.

    Source: api.aliyun.com, Sts 2015-04-01, AssumeRole.
    """
    account, request = call.account, call.request
    match = _ROLE_ARN.fullmatch(request.need("RoleArn"))
    if match is None:
        raise PopError("InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.", status=400)
    if match[1] != account.account_id:
        trusted = account.trusted_by(match[0])
        if trusted is None:
            raise PopError("EntityNotExist.Role")
        if call.key.principal not in trusted:
            raise PopError("NoPermission")
    session_name = request.need("RoleSessionName")
    if not _SESSION_NAME.fullmatch(session_name):
        raise PopError(
            "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.", status=400
        )
    if request.get("Policy") or request.get("ExternalId"):
        raise PopError("NotImplemented", "localcloud does not serve Policy or ExternalId of AssumeRole.")
    duration = _duration(request.get("DurationSeconds"))
    role = match[2].lower()
    principal = f"acs:ram::{match[1]}:role/{role}/{session_name}"
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


def submit_task(call: Call) -> dict[str, Any]:
    """Queue a recording for transcription; what is wrong with `Task` is told by a StatusCode."""
    files = _files(call)
    files.admit_submit()
    try:
        refuse_addresses = files.limits.refuse_addresses
        order = read_order(call.request.need("Task"), call.account, refuse_addresses=refuse_addresses)
    except FileRefusal as refusal:
        return documents.submitted("", refusal.status)
    return documents.submitted(files.submit(order).task_id)


def get_task_result(call: Call) -> dict[str, Any]:
    """The state or the result of a task."""
    return _files(call).state(call.request.need("TaskId"))


def no_token(call: Call, code: str, message: str) -> dict[str, Any]:
    """CreateToken inside an HTTP 200: no Token but an ErrCode and an ErrMsg, by default those of a RAM user without
    rights."""
    number = int(code) if code.isdigit() else 40020503
    return {"NlsRequestId": secrets.token_hex(16), "ErrCode": number, "ErrMsg": message or "No permission"}


def no_transcript(call: Call, code: str, message: str) -> dict[str, Any]:
    """File transcription inside an HTTP 200: a StatusCode, by default the exceeded quota or the empty result."""
    task_id = call.request.get("TaskId")
    return documents.submitted(task_id, int(code) if code.isdigit() else 21050003 if task_id else 41050001)


def perform(action: Action, call: Call, fault: Fault | None) -> dict[str, Any]:
    """What an action answers beside the RequestId, also under a fault that is not about HTTP."""
    if fault is not None and fault.action == "business":
        return action.failure(call, fault.code, fault.value)
    if fault is not None and fault.action == "empty":
        return {}
    if fault is not None and fault.action == "life" and action.perform is create_token:
        return create_token(call, fault.seconds)
    return action.perform(call)


def _no_business(call: Call, code: str, message: str) -> dict[str, Any]:
    raise PopError("NotImplemented", "this action does not fail inside an HTTP 200")


def _files(call: Call) -> FileService:
    if call.files is None:
        raise PopError("NotImplemented", "this POP was started without an engine: it transcribes no files")
    return call.files


_FILETRANS_VERSIONS = ("2018-08-17", "2021-12-21")  # the second is the off-peak product's, with the same messages
ACTIONS = (
    *(Action("CreateToken", version, create_token, no_token) for version in ("2019-02-28", "2019-07-17")),
    Action("AssumeRole", "2015-04-01", assume_role, _no_business),
    *(Action("SubmitTask", version, submit_task, no_transcript) for version in _FILETRANS_VERSIONS),
    *(Action("GetTaskResult", version, get_task_result, no_transcript) for version in _FILETRANS_VERSIONS),
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
