"""What a function's result becomes at the traditional API Gateway: `{isBase64Encoded, statusCode, headers, body}`."""

from __future__ import annotations

import base64
import json
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from localcloud.fc.headers import HOP_BY_HOP

_OWN = HOP_BY_HOP | {"content-length"}


class BadAnswer(ValueError):
    """The result does not have that form; says why."""


def response_of(result: bytes) -> web.Response:
    """The HTTP answer.

    The status may be a string, the flag too, and an object as body is written as JSON: the official samples do all
    three.

    Raises
    ------
    BadAnswer
    """
    try:
        answer: Any = json.loads(result)
    except ValueError as error:
        raise BadAnswer("the result is not JSON") from error
    if not isinstance(answer, dict):
        raise BadAnswer("the result is not an object")
    status = str(answer.get("statusCode", ""))
    if not (status.isascii() and status.isdigit() and 100 <= int(status) <= 599):
        raise BadAnswer("statusCode is not a status")
    headers: CIMultiDict[str] = CIMultiDict()
    given = answer.get("headers") or {}
    if not isinstance(given, dict):
        raise BadAnswer("headers is not an object")
    for name, value in given.items():
        if name.lower() not in _OWN:
            headers[name] = _line(value)
    return web.Response(status=int(status), headers=headers, body=_body(answer))


def _line(value: object) -> str:
    if not isinstance(value, (str, int, float)) or any(letter in str(value) for letter in "\r\n\0"):
        raise BadAnswer("a header is not a line of text")
    return str(value)


def _body(answer: dict[str, Any]) -> bytes:
    body = answer.get("body", "")
    if str(answer.get("isBase64Encoded", False)).lower() == "true":
        try:
            return base64.b64decode(str(body), validate=True)
        except ValueError as error:
            raise BadAnswer("the body is not Base64") from error
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
