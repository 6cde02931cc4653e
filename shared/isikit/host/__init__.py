"""The web host: Function Compute's protocol on one side, the functions' routes and handlers on the other.

`python3 -m isikit.host functions.prompts.app` serves a module that offers any of:

- `app`: an ASGI application, made with `make_app`;
- `handler(event: bytes, context: EventContext)`: events (OSS, timer, asynchronous self-invocation), plain or async;
- `initialize()` and `pre_stop()`: the instance's life-cycle hooks, plain or async.

What is exported here is loaded when it is first named: `isikit.logs` needs the context, and not Starlette with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isikit.host.application import make_app
    from isikit.host.context import Deadline, RequestContext
    from isikit.host.dispatch import EventContext, Host
    from isikit.host.requests import parse_json, read_body, read_json
    from isikit.host.responses import json_response, problem_response

__all__ = [
    "Deadline",
    "EventContext",
    "Host",
    "RequestContext",
    "json_response",
    "make_app",
    "parse_json",
    "problem_response",
    "read_body",
    "read_json",
]

_HOMES = {
    "Deadline": "context",
    "EventContext": "dispatch",
    "Host": "dispatch",
    "RequestContext": "context",
    "json_response": "responses",
    "make_app": "application",
    "parse_json": "requests",
    "problem_response": "responses",
    "read_body": "requests",
    "read_json": "requests",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
