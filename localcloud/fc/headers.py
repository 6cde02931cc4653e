"""Headers on both sides of an instance: what the platform adds, and what clients and functions may not send."""

from __future__ import annotations

from dataclasses import dataclass, field

from multidict import CIMultiDict, CIMultiDictProxy

from localcloud.account import AccessKey, Account
from localcloud.fc.errors import invalid
from localcloud.fc.model import LATEST, FunctionSpec, service_and_name
from localcloud.fc.request_ids import new_request_id

CLIENT_MAY_SEND = frozenset({"x-fc-invocation-type", "x-fc-log-type", "x-fc-async-task-id"})
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# "Response headers do not support custom fields that start with x-fc- or ..." (page web-functions, 2025-04).
# Content-Length is passed on as it is true; Content-Disposition is forced on *.fcapp.run alone.
_NOT_FROM_FUNCTIONS = HOP_BY_HOP | {"date", "server"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request to a function, as the platform counts it. `kind` is `Sync` or `Async`."""

    request_id: str = field(default_factory=new_request_id)
    qualifier: str = LATEST
    retry_count: int = 0
    client_ip: str = "127.0.0.1"
    kind: str = "Sync"
    base_path: str = ""


def control_headers(
    spec: FunctionSpec, account: Account, credentials: AccessKey | None, invocation: Invocation, control_path: str
) -> dict[str, str]:
    """The `x-fc-*` headers that a custom runtime gets (names from a dump of a real request)."""
    service, name = service_and_name(spec.name)
    headers = {
        "x-fc-request-id": invocation.request_id,
        "x-fc-control-path": control_path,
        "x-fc-function-name": name,
        "x-fc-function-handler": spec.handler,
        "x-fc-function-memory": str(spec.memory_mb),
        "x-fc-function-timeout": str(spec.timeout_seconds),
        "x-fc-initialization-timeout": str(spec.initializer_seconds),
        "x-fc-region": account.region,
        "x-fc-account-id": account.account_id,
        "x-fc-qualifier": invocation.qualifier,
        "x-fc-version-id": "" if spec.version == LATEST else spec.version,
        "x-fc-retry-count": str(invocation.retry_count),
        "x-fc-client-ip": invocation.client_ip,
        "x-fc-service-name": service,
        "x-fc-service-logproject": "",
        "x-fc-service-logstore": "",
    }
    if invocation.base_path:
        headers["x-fc-base-path"] = invocation.base_path
    if credentials is not None:
        headers["x-fc-access-key-id"] = credentials.access_key_id
        headers["x-fc-access-key-secret"] = credentials.access_key_secret
        headers["x-fc-security-token"] = credentials.security_token
    return headers


def from_client(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """What a client's headers become on the way to the function.

    Raises
    ------
    FcError
        400 when the client sends an `x-fc-*` header that is not a documented invocation header.
    """
    passed: CIMultiDict[str] = CIMultiDict()
    named_by_connection = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    for name, value in headers.items():
        lower = name.lower()
        if lower.startswith("x-fc-"):
            if lower not in CLIENT_MAY_SEND:
                raise invalid(f"request header {name} is not supported: names starting with x-fc- are reserved")
        elif lower not in HOP_BY_HOP and lower not in named_by_connection:
            passed.add(name, value)
    return passed


def from_function(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """What a function's response headers become on the way to the client."""
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        lower = name.lower()
        if lower not in _NOT_FROM_FUNCTIONS and not lower.startswith("x-fc-"):
            passed.add(name, value)
    return passed


def total_bytes(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> int:
    """Keys and values together, which is what Function Compute limits to 8 KB."""
    return sum(len(name.encode()) + len(value.encode("utf-8", "surrogateescape")) for name, value in headers.items())
