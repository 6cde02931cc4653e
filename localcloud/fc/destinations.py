"""What an asynchronous invocation's destination gets, and where it goes.

A destination that is a function of this account is invoked; queues, topics and event buses are not here, so what they
would get is kept for the operator to see (`GET /async` of the admin door).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from localcloud.account import Account
from localcloud.fc.errors import invalid

_ELSEWHERE = ("acs:mns:", "acs:eventbridge:", "acs:mq:")


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """A function as a destination; `qualifier` is empty for LATEST."""

    function: str
    qualifier: str


def target_of(arn: str, account: Account) -> FunctionTarget | None:
    """The function behind a destination's ARN, `None` for a destination of another service.

    Raises
    ------
    FcError
        400 when it is neither.
    """
    found = re.fullmatch(
        rf"acs:fc:{re.escape(account.region)}:{re.escape(account.account_id)}:functions/([^/]+)(?:/([^/]+))?", arn
    )
    if found is not None:
        return FunctionTarget(found.group(1), found.group(2) or "")
    if arn.startswith(_ELSEWHERE):
        return None
    raise invalid(
        f"a destination is acs:fc:{account.region}:{account.account_id}:functions/<name>, or the ARN of a queue, topic "
        f"or event bus, not {arn!r}"
    )


def message(
    *,
    now_ms: int,
    request_id: str,
    function_arn: str,
    condition: str,
    attempts: int,
    payload: bytes,
    function_error: str,
    answer: bytes,
) -> dict[str, Any]:
    """The payload of the page "result-callback". `condition` on success was never seen: here it is empty."""
    return {
        "timestamp": now_ms,
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": payload.decode("utf-8", "replace"),
        "responseContext": {"statusCode": 200, "functionError": function_error},
        "responsePayload": answer.decode("utf-8", "replace"),
    }
