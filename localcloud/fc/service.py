"""Function Compute: the control plane, the instances, the listeners of HTTP triggers, and the asynchronous queue."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from localcloud.account import Account
from localcloud.children import Guardian
from localcloud.clock import Clock
from localcloud.faults import Faults
from localcloud.fc import archive, control, destinations, triggers, trouble
from localcloud.fc.api_2016 import Api2016
from localcloud.fc.async_queue import AsyncQueue, AsyncTask
from localcloud.fc.code_store import CodeStore
from localcloud.fc.errors import FcError
from localcloud.fc.fleet import Fleet, Platform
from localcloud.fc.headers import Invocation
from localcloud.fc.http_trigger import ASYNC_LIMIT_BYTES, HttpListener
from localcloud.fc.instance import Instance
from localcloud.fc.invoke import Outcome, invoke_event
from localcloud.fc.model import LATEST, FunctionSpec, Trigger
from localcloud.fc.operations import operations
from localcloud.fc.registry import Registry
from localcloud.fc.request_ids import new_request_id
from localcloud.fc.signature import Nonces
from localcloud.fc.timers import Timers
from localcloud.log import Log
from localcloud.relay import HEADER_LINE_LIMIT_BYTES, answering_all


class FunctionCompute:
    """One region of Function Compute for one account. Create it inside a running event loop.

    Parameters
    ----------
    root
        Where packages, unpacked code and layers, and the instances' homes go.
    log_dir
        Each function's output goes to `{log_dir}/{functionName}.jsonl`.
    bind
        Gives the bound socket on which a function's HTTP trigger listens; by default a free port of `host`.
    freeze
        Stop instances (SIGSTOP) while they have no request, as the cloud freezes them.
    idle_seconds
        How long an instance without requests is kept (the cloud: 2 to 5 minutes; here longer, as starts cost the
        laptop's own time).
    retry_seconds
        The first pause before an asynchronous invocation is retried.
    stall_seconds
        How long a client may send nothing in the middle of a body.
    code_store
        Where code that lies in OSS is read; without one it is 501.
    """

    def __init__(
        self,
        root: Path,
        account: Account,
        faults: Faults,
        clock: Clock,
        log_dir: Path,
        host: str = "127.0.0.1",
        *,
        bind: Callable[[str], socket.socket | None] | None = None,
        guardian: Guardian | None = None,
        log: Log | None = None,
        freeze: bool = True,
        idle_seconds: float = 3600.0,
        retry_seconds: float = 1.0,
        stall_seconds: float = 30.0,
        code_store: CodeStore | None = None,
    ) -> None:
        self._own_guardian = guardian is None
        platform = Platform(
            root.resolve(),
            account,
            clock,
            faults,
            guardian or Guardian(),
            log_dir,
            log,
            freeze,
            idle_seconds,
            stall_seconds,
            code_store,
        )
        self._platform = platform
        archive.clear_leftovers(platform.root)
        self._host = host
        self._bind = bind
        self._nonces = Nonces()
        self._runners: dict[str, web.AppRunner] = {}
        self._loop = asyncio.get_running_loop()
        self.fleet = Fleet(platform, self._reserved)
        self.registry = Registry(platform.root, account, clock, self.fleet.renew)
        self.delivered: deque[dict[str, Any]] = deque(maxlen=1000)
        self.queue = AsyncQueue(
            clock.now,
            self._async_settings,
            lambda function: faults.begin("fc.async", function),
            platform.tell,
            self._deliver,
            retry_seconds=retry_seconds,
        )
        self.timers = Timers(self.registry.functions, clock.now, self._fire)

    def control_app(self) -> web.Application:
        """The OpenAPI 2023-03-30, and below its own path the invoke API 2016-08-15."""
        platform = self._platform
        return control.make_app(
            platform.account,
            self._nonces,
            operations(self, platform),
            platform.faults.begin,
            Api2016(self, platform, self._nonces).handle,
            platform.stall_seconds,
        )

    def listener(self, function: str, trigger: Trigger, kind: type[HttpListener] = HttpListener) -> HttpListener:
        """What answers requests of an HTTP trigger."""
        return kind(
            function,
            trigger,
            self._platform.account,
            self.registry,
            self.fleet,
            self.queue,
            self._platform.faults.begin,
            self._nonces,
            self._platform.stall_seconds,
        )

    def object_created(self, event: dict[str, Any]) -> None:
        """Invoke the functions whose OSS triggers take `event` (native OSS format). Safe to call from any thread."""
        self._loop.call_soon_threadsafe(self._object_created, event)

    def _object_created(self, event: dict[str, Any]) -> None:
        payload = json.dumps({"events": [event]}, ensure_ascii=False).encode()
        for function in self.registry.functions.values():
            for trigger in function.triggers.values():
                if triggers.takes(trigger, event):
                    self._platform.tell("trigger.fired", function=function.name, trigger=trigger.name, kind="oss")
                    self.submit(function.name, trigger.qualifier, payload, new_request_id())

    def fire_timer(self, function: str, trigger_name: str) -> str:
        """Run a timer trigger now and return the request id.

        Raises
        ------
        FcError
            404 when there is no such timer trigger, 412 when it is not enabled.
        """
        trigger = self.registry.trigger(function, trigger_name)
        if trigger.kind != "timer":
            raise FcError(404, "TriggerNotFound", f"trigger '{trigger_name}' of function '{function}' is not a timer")
        if not trigger.config["enable"]:
            raise FcError(412, "TriggerDisabled", f"trigger '{trigger_name}' of function '{function}' is not enabled")
        return self._fire(function, trigger, self._platform.clock.now())

    def clock_moved(self) -> None:
        """The services' clock has jumped: timers that became due fire now."""
        self.timers.tick()

    @staticmethod
    def check_fault(operation: str, action: str, when: str) -> None:
        """Refuse (`ValueError`) a fault of Function Compute that could not strike."""
        trouble.check(operation, action, when, frozenset(route.operation for route in control.ROUTES))

    def _fire(self, function: str, trigger: Trigger, due: float) -> str:
        at = datetime.fromtimestamp(due, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {"triggerTime": at, "triggerName": trigger.name, "payload": trigger.config["payload"]}
        request_id = new_request_id()
        self._platform.faults.add("fc.timer")
        self._platform.tell("trigger.fired", function=function, trigger=trigger.name, kind="timer")
        self.submit(function, trigger.qualifier, json.dumps(event, ensure_ascii=False).encode(), request_id)
        return request_id

    def submit(self, function: str, qualifier: str, event: bytes, request_id: str, task_id: str = "") -> None:
        """Accept an event for a function, to be run later."""

        async def run(invocation: Invocation) -> Outcome:
            return await invoke_event(self.fleet, self.registry.resolve(function, qualifier), event, invocation)

        self.queue.submit(function, qualifier, run, request_id, task_id, event)

    def _deliver(self, task: AsyncTask, condition: str, outcome: Outcome | None) -> None:
        """Send a finished invocation to its destination, if it has one; `delivered` keeps what was sent and where."""
        which = "onSuccess" if task.state == "Succeeded" else "onFailure"
        configured = self._async_settings(task.function, task.qualifier).get("destinationConfig") or {}
        arn = (configured.get(which) or {}).get("destination")
        if not arn:
            return
        content = destinations.message(
            now_ms=round(self._platform.clock.now() * 1000),
            request_id=task.request_id,
            function_arn=self.registry.arn(task.function),
            condition=condition,
            attempts=task.attempts,
            payload=task.payload,
            function_error=outcome.error_type if outcome else condition,
            answer=outcome.body if outcome else b"",
        )
        fault = self._platform.faults.begin("fc.destination", task.function)
        state = "lost" if fault is not None else self._send(arn, content)
        self.delivered.append({"destination": arn, "state": state, "content": content})
        self._platform.tell("async.delivered", function=task.function, request_id=task.request_id, state=state)

    def _send(self, arn: str, content: dict[str, Any]) -> str:
        """`invoked` (a function), `recorded` (another service) or `refused`."""
        target = destinations.target_of(arn, self._platform.account)
        if target is None:
            return "recorded"
        event = json.dumps(content, ensure_ascii=False).encode()
        if target.function not in self.registry.functions or len(event) > ASYNC_LIMIT_BYTES:
            return "refused"
        self.submit(target.function, target.qualifier or LATEST, event, new_request_id())
        return "invoked"

    def rescale(self, name: str) -> None:
        """Bring minimum instances in line with the scaling configurations and with where the aliases point."""
        function = self.registry.function(name)
        wanted: Counter[FunctionSpec] = Counter()
        for qualifier, config in function.scaling_configs.items():
            wanted[self.registry.resolve(name, qualifier)] += config.get("minInstances") or 0
        in_use = {LATEST}
        for alias in function.aliases.values():
            in_use |= {alias["versionId"], *(alias.get("additionalVersionWeight") or {})}
        self.fleet.rescale(name, wanted, in_use)

    def instances(self) -> list[Instance]:
        """Every instance there is."""
        return self.fleet.instances()

    async def listen(self, function: str, trigger: Trigger) -> str:
        """Begin to answer an HTTP trigger; returns its URL, which ends in no slash."""
        listener = self.listener(function, trigger)
        runner = web.AppRunner(
            answering_all(listener.handle),
            auto_decompress=False,  # a body goes on as it came
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1.0,
            max_line_size=HEADER_LINE_LIMIT_BYTES,
            max_field_size=HEADER_LINE_LIMIT_BYTES,
        )
        await runner.setup()
        listening = self._bind(function) if self._bind is not None else None
        if listening is None:
            listening = socket.socket()
            listening.bind((self._host, 0))
        await web.SockSite(runner, listening, backlog=1024).start()
        self._runners[trigger.trigger_id] = runner
        return f"http://{self._host}:{listening.getsockname()[1]}"

    async def unlisten(self, trigger: Trigger) -> None:
        """Stop answering an HTTP trigger."""
        runner = self._runners.pop(trigger.trigger_id, None)
        if runner is not None:
            await runner.cleanup()

    async def close(self) -> None:
        """Stop listening, drop the queue, and stop every instance in good order; nothing is left running."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners.values()))
        self._runners.clear()
        await self.timers.close()
        await self.queue.close()
        await self.fleet.close()
        if self._own_guardian:
            self._platform.guardian.close()

    def kill(self) -> None:
        """End every instance at once."""
        self.fleet.kill()

    def _reserved(self, function: str) -> int | None:
        found = self.registry.functions.get(function)
        return found.reserved_concurrency if found else None

    def _async_settings(self, function: str, qualifier: str) -> dict[str, Any]:
        found = self.registry.functions.get(function)
        return found.async_configs.get(qualifier, {}) if found else {}
