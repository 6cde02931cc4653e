"""Rows of request metrics, as Function Compute writes them to SLS under the topic `FCRequestMetrics:/{function}`.

Field names are those of the SLS field page and of real rows. What a process of this machine cannot tell truly
(`hostname`, `ipAddress`, memory in use) is left out. Paths are written without their query, which may hold a text.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.fc.headers import Invocation
from localcloud.fc.instance import Instance
from localcloud.fc.model import FunctionSpec
from localcloud.fc.output import LogFile

if TYPE_CHECKING:
    from localcloud.fc.serving import Attempt

FILE_NAME = "fc-request-metrics.jsonl"


@dataclass(frozen=True, slots=True)
class HttpCall:
    """The part of an HTTP request that its row shows; `path` is without the query."""

    method: str
    path: str


class RequestMetrics:
    """Writes one row for each request that reached an instance, and for each further attempt of an asynchronous one."""

    def __init__(self, log_dir: Path) -> None:
        self._path = log_dir / FILE_NAME
        self._log: LogFile | None = None

    def write(
        self,
        spec: FunctionSpec,
        invocation: Invocation,
        instance: Instance,
        asked_at: float,
        attempt: Attempt,
        http: HttpCall | None,
    ) -> None:
        """Append a row; `asked_at` (monotonic seconds) is when the platform had the request."""
        if self._log is None:
            self._log = LogFile(self._path)
        now = time.monotonic()
        cold = instance.ready_at > asked_at
        row: dict[str, object] = {
            "__topic__": f"FCRequestMetrics:/{spec.name}",
            "__time__": int(time.time()),
            "functionName": spec.name,
            "versionId": spec.version,
            "qualifier": invocation.qualifier,
            "requestId": invocation.request_id,
            "instanceID": instance.instance_id,
            "operation": "InvokeFunction",
            "invocationType": invocation.kind,
            "memoryMB": spec.memory_mb,
            "durationMs": round(attempt.duration_ms, 3),
            "invokeFunctionLatencyMs": round((now - asked_at) * 1000, 3),
            "scheduleLatencyMs": round((attempt.started_at - asked_at) * 1000, 3),
            "isColdStart": cold,
            "hasFunctionError": bool(attempt.error_type),
            "errorType": self._error_type(instance, attempt),
            "resourceMode": "OnDemand",
            "retryCount": invocation.retry_count,
        }
        if cold:
            row["coldStartLatencyMs"] = round((instance.ready_at - instance.started_at) * 1000, 3)
            row["coldStartStartTimestamp"] = round((time.time() - (now - instance.started_at)) * 1000)
        if http is not None:
            row |= {
                "method": http.method,
                "requestURI": http.path,
                "statusCode": attempt.status,
                "triggerType": "http",
            }
        self._log.write(json.dumps(row, ensure_ascii=False).encode())

    def close(self) -> None:
        """Close the file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    @staticmethod
    def _error_type(instance: Instance, attempt: Attempt) -> str:
        if not attempt.error_type:
            return ""
        return "FunctionTimeoutError" if instance.killed_for == "timeout" else "FunctionUnhandledError"
