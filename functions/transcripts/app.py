"""The function `asr`: events about recordings come in, questions about their jobs are answered.

`handler` takes events: new objects in the recordings bucket, and the timer's.
`app` answers HTTP: `GET /v1/jobs/{id}`, `GET /v1/jobs`, `POST /v1/recognitions`, and the speech service's callbacks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.transcripts import events
from functions.transcripts.callbacks import LOOKED_AT_BYTES, Callback, CallbackRefused
from functions.transcripts.callbacks import PATH as CALLBACKS
from functions.transcripts.job_view import by_call, by_id, by_place, look_up
from functions.transcripts.open_jobs import called_back
from functions.transcripts.openapi import DOCUMENT
from functions.transcripts.process import Transcripts, transcripts
from functions.transcripts.recognitions import ANSWER_SECONDS, MAX_BYTES, Recognitions, appkeys_for, locale_of
from functions.transcripts.recognitions import PATH as RECOGNITIONS
from functions.transcripts.recording import deliver, replay, resume
from functions.transcripts.sweep import sweep
from functions.transcripts.sweep_settling import remember
from isikit import logs
from isikit.errors import DeadlineExceeded
from isikit.host import context, json_response, make_app, read_body
from isikit.host.context import Deadline, RequestContext

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from isikit.host import EventContext
    from isikit.tenants import Tenant

RESERVE_SECONDS: Final = 10.0
"""Kept back from an event's time, so that what an attempt came to can still be written."""


async def handler(event: bytes, event_context: EventContext) -> dict[str, Any]:
    """Work on everything in the event; see `take`."""
    return await take(event, event_context.request_id, event_context.deadline, transcripts())


async def take(event: bytes, request_id: str, deadline: Deadline, process: Transcripts) -> dict[str, Any]:
    """Work on every recording that an event tells of, one after the other.

    Returns
    -------
    dict
        `jobs`: `[{"id", "outcome": "ended|claimed|submitted|..."}]`, those that ended with the fields of `/v1/jobs`
        too, and `skipped`: how many records were about something else. It is what a destination gets.

    Raises
    ------
    EventUnreadable
        The event, or a record of it, cannot be understood.
    Exception
        Of the first recording that has to be delivered again, `DeadlineExceeded` where there was no time for all. Any
        is raised after all others had their turn: those that ended cost next to nothing when the event comes again.
    """
    parsed = events.parse(event)
    until = Deadline(deadline.at - RESERVE_SECONDS)
    if isinstance(parsed, events.Timer):
        found = await sweep(process, until, request_id)
        return {"jobs": [each.answer() for each in found], "skipped": 0}
    if isinstance(parsed, events.Replay):
        again = await replay(parsed.job, parsed.generation, process, until, request_id)
        return {"jobs": [again.answer()], "skipped": 0}
    if isinstance(parsed, events.Resume):
        gone_on = await resume(parsed.resume, process, until, request_id)
        return {"jobs": [gone_on.answer()], "skipped": 0}
    errors: list[Exception] = list(parsed.unreadable)
    jobs: list[dict[str, Any]] = []
    skipped = parsed.other_kinds
    if skipped:
        logs.event("job.skipped", reason="event.other_kind", count=skipped)
    every = (*parsed.grown, *parsed.created)
    for number, created in enumerate(every):
        if not until.remaining():
            logs.event("job.postponed", level="warning", count=len(every) - number)
            errors.append(DeadlineExceeded())
            break
        if (reason := events.why_skipped(created, process.recordings_bucket)) is not None:
            kind = "recordings" if created.bucket == process.recordings_bucket else "other"
            logs.event("job.skipped", reason=reason, bucket_kind=kind)
            skipped += 1
            continue
        try:
            # A context of its own, so that this recording's tenant is not in the lines about the next.
            with context.entered(RequestContext(request_id, deadline)):
                if created in parsed.grown:
                    await remember(created, process)
                    continue
                delivered = await deliver(created, process, request_id, until)
        except Exception as error:  # noqa: BLE001 - the other recordings of the event must have their turn
            errors.append(error)
        else:
            jobs.append(delivered.answer())
    if errors:
        raise errors[0]
    return {"jobs": jobs, "skipped": skipped}


def initialize() -> None:
    """Function Compute's initializer: import and read now what the first event would wait for (300 ms).

    Nothing that goes wrong here keeps the instance from starting: the first event meets it again, as an answer.
    """
    try:
        import aliyunsdkcore.client  # noqa: F401
        import oss2  # noqa: F401
        import urllib3  # noqa: F401

        import isikit.connections  # noqa: F401
        from isikit.limits import warm_up

        warm_up()
        transcripts()
    except Exception as error:  # noqa: BLE001 - whatever it is, a failed initializer would say less
        logs.failure("host.initialize_failed", error, level="warning")


async def pre_stop() -> None:
    """Function Compute's last call: give unspent parts of the day's quotas back."""
    if transcripts.cache_info().currsize:
        await transcripts().limits.hand_in()


def _told(jobs: list[dict[str, Any]]) -> Response:
    # They hold the tenant's file names, and change.
    return json_response({"jobs": jobs}, headers={"Cache-Control": "no-store"})


async def _beginning(request: Request) -> bytes:
    """The first bytes of a body of any length: a callback holds the whole result, of which nothing is believed."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) >= LOOKED_AT_BYTES:
            break
    return body[:LOOKED_AT_BYTES]


def application(process: Callable[[], Transcripts]) -> ASGIApp:
    """The HTTP side, over what `process` returns when the first request comes."""
    recognitions = functools.cache(lambda: Recognitions(process()))  # its places are shared by all requests

    async def tenant_of(request: Request) -> Tenant:
        tenant = (await process().doors.identify(request.headers, request.scope)).tenant
        await process().limits.admit(tenant, "jobs")
        return tenant

    async def job(request: Request) -> Response:
        tenant = await tenant_of(request)
        return _told(await by_id(request.path_params["id"], tenant.id, process()))

    async def jobs(request: Request) -> Response:
        tenant = await tenant_of(request)
        asked = look_up(request.query_params)
        if asked.call_id is not None:
            return _told(await by_call(asked.call_id, tenant.id, process()))
        return _told(await by_place(asked.bucket, asked.key, tenant.id, process()))

    async def recognition(request: Request) -> Response:
        tenant = (await process().doors.identify(request.headers, request.scope)).tenant
        await process().limits.admit(tenant, "recognitions")
        appkeys = appkeys_for(tenant, locale_of(request.query_params.multi_items()))
        deadline = context.current().deadline.sooner(ANSWER_SECONDS)
        data = await read_body(request, MAX_BYTES)
        found = await recognitions().recognise(data, tenant, appkeys, deadline)
        return json_response(found.answer(), headers={"Cache-Control": "no-store"})

    async def callback(request: Request) -> Response:
        told = Callback.named(
            *(request.path_params[name] for name in ("job", "generation", "submission", "expires_at"))
        )
        ours = process()
        if ours.queue is None:
            raise CallbackRefused
        told.check(request.path_params["proof"], await ours.queue.keys.current(), ours.clock())
        now = context.current()
        delivered = await called_back(told, await _beginning(request), ours, now.deadline, now.request_id)
        return json_response({"outcome": delivered.outcome}, headers={"Cache-Control": "no-store"})

    async def openapi(_: Request) -> Response:
        return json_response(DOCUMENT)

    return make_app(
        [
            Route("/v1/jobs/{id}", job, methods=["GET"]),
            Route("/v1/jobs", jobs, methods=["GET"]),
            Route(RECOGNITIONS, recognition, methods=["POST"]),
            Route(
                f"{CALLBACKS}/{{job}}/{{generation}}/{{submission}}/{{expires_at}}/{{proof}}",
                callback,
                methods=["POST"],
            ),
            Route("/openapi.json", openapi, methods=["GET"]),
        ]
    )


app = application(transcripts)
