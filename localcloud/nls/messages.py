"""The WebSocket envelope: directives in, events out, with the key order of real traffic."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.nls.status import APPKEY_NOT_EXIST, MESSAGE_INVALID, SUCCESS, SUCCESS_TEXT, Refusal, invalid

_ID = re.compile(r"[0-9a-fA-F]{32}")
NO_TASK = "0" * 32


@dataclass(frozen=True, slots=True)
class Directive:
    """One JSON message of the client."""

    task_id: str
    namespace: str
    name: str
    appkey: str
    payload: Mapping[str, Any]


def new_id() -> str:
    """32 hexadecimal characters."""
    return secrets.token_hex(16)


def task_id_of(text: str) -> str:
    """The task id of a message however broken, so that its TaskFailed can be told; zeros when there is none."""
    try:
        task_id = json.loads(text)["header"]["task_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return NO_TASK
    return task_id if isinstance(task_id, str) and _ID.fullmatch(task_id) else NO_TASK


def parse(text: str) -> Directive:
    """Read a directive.

    Raises
    ------
    Refusal
        40000002 for what is no message or has no proper ids, 40000003 for a missing AppKey or a payload that is no
        object.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(MESSAGE_INVALID) from error
    header = message.get("header") if isinstance(message, dict) else None
    if not isinstance(header, dict):
        raise Refusal(MESSAGE_INVALID)
    for field, words in (("message_id", "message id"), ("task_id", "task id")):
        value = header.get(field, "")
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise Refusal(MESSAGE_INVALID, f"Gateway:MESSAGE_INVALID:Invalid {words} '{value}'!")
    appkey = header.get("appkey")
    if not appkey:
        raise invalid("appkey not set")
    if not isinstance(appkey, str):
        raise Refusal(APPKEY_NOT_EXIST)
    payload = message.get("payload", {})
    name = str(header.get("name", ""))
    namespace = str(header.get("namespace", ""))
    if not isinstance(payload, dict):
        raise Refusal(40010003, f"Gateway:DIRECTIVE_INVALID:Invalid payload for event '{namespace}.{name}'!")
    return Directive(header["task_id"], namespace, name, appkey, payload)


def event(namespace: str, name: str, task_id: str, payload: Mapping[str, Any] | None = None) -> str:
    """A success event; without a payload the key is absent, as recorded."""
    return _render(namespace, name, task_id, SUCCESS, SUCCESS_TEXT, payload)


def failed(task_id: str, refusal: Refusal) -> str:
    """TaskFailed. Its namespace is `Default`, whatever failed."""
    return _render("Default", "TaskFailed", task_id, refusal.status, refusal.text, None)


def _render(namespace: str, name: str, task_id: str, status: int, text: str, payload: Mapping[str, Any] | None) -> str:
    message: dict[str, Any] = {
        "header": {
            "namespace": namespace,
            "name": name,
            "status": status,
            "message_id": new_id(),
            "task_id": task_id,
            "status_text": text,
        }
    }
    if payload is not None:
        message["payload"] = payload
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
