"""Tells the tenant's webhook that a recording has its outcome: at least once, by names and paths, never by text.

The signature is that of the Standard Webhooks specification (standardwebhooks.com): headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, an HMAC-SHA-256 over `id.timestamp.body`. The id is the same in every try
and in every repetition, so a receiver can pass over what it has seen.

There are five tries, each counted in the job's journal before it is made, with growing pauses between them. Nobody
waits for the next: the job's mark under `open/` stays, and the timer comes again. A try lasts a few seconds at most and
comes after publication, which it never holds up. Every answer but a 2xx is a failed try, because receivers answer
anything while they are being deployed; only 410 ends the tries at once, as the specification has it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from functions.transcripts.job import MAX_NOTICES, Generation, Job, NoticeOutcome
from functions.transcripts.job_view import view
from functions.transcripts.next_step import Tell
from isikit import logs
from isikit.errors import DeadlineExceeded, IsiError
from isikit.public_http import FetchError, exchange
from isikit.stamps import rfc3339

if TYPE_CHECKING:
    from functions.transcripts.job_journal import JobJournal
    from functions.transcripts.process import Transcripts
    from isikit.host.context import Deadline
    from isikit.secrets import KeyRing
    from isikit.tenants import Webhook

TRY_SECONDS: Final = 5.0
LEAST_SECONDS: Final = 1.0
"""With less time left no try is begun: it would be counted, and the receiver would not be to blame."""
PAUSES_SECONDS: Final = (60.0, 300.0, 1800.0, 7200.0, 60.0)
"""From the begin of each try to the next; after the last, so long is waited before it is given up."""
HEAD_LIMIT_BYTES: Final = 16 * 1024
GONE: Final = 410

NO_WEBHOOK: Final = "webhook.none"
NO_SECRET: Final = "webhook.secret_missing"  # noqa: S105 - a code

Post = Callable[[str, bytes, Mapping[str, str], float], Awaitable[int]]
"""(url, body, headers, seconds) -> status; `FetchError` where there is none."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What telling needs besides the journal: how to post, and the secrets."""

    post: Post
    keys: KeyRing


def poster(*, loopback: bool) -> Post:
    """Posts to public https addresses and follows nothing; to this machine too, by http, if `loopback`."""

    async def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> int:
        def request(target: str, host: str) -> bytes:
            lines = {"Host": host, "Content-Length": str(len(body)), "User-Agent": "speech-functions", **headers}
            head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            return f"POST {target} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode("ascii") + body

        return await exchange(url, request, _status, seconds, loopback=loopback)

    return post


class _Head:
    """What httptools' parser reports: whether the head is complete."""

    complete = False

    def on_headers_complete(self) -> None:
        self.complete = True


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of the answer. Nothing after its head is read."""
    import httptools

    head = _Head()
    parser = httptools.HttpResponseParser(head)
    received = 0
    while not head.complete:
        data = await reader.read(HEAD_LIMIT_BYTES)
        received += len(data)
        if not data or received > HEAD_LIMIT_BYTES:
            raise FetchError("broken" if not data else "size")
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # two trees; 101 is an answer like any other
            if not head.complete:
                raise FetchError("broken") from None
    return int(parser.get_status_code())


def event_id(job: Job, generation: Generation) -> str:
    """The same for every try. No full stop in it: the specification keeps that to part what is signed."""
    return f"{job.id}-{generation.number}"


def body_of(job: Job, generation: Generation) -> bytes:
    """What is told."""
    if generation.terminal is None:
        raise TypeError("there is nothing to tell before the outcome")
    seen = view(job, generation)
    told: dict[str, Any] = {
        "event_id": event_id(job, generation),
        "job_id": job.id,
        "generation": generation.number,
        **{name: seen[name] for name in ("state", "reason", "bucket", "key", "outputs")},
        "finished_at": rfc3339(generation.terminal.at),
    }
    if job.call_id is not None:
        told["call_id"] = job.call_id
    return msgspec.json.encode(told)


def signed(identifier: str, at: int, body: bytes, secret: bytes) -> dict[str, str]:
    """The headers of a call.

    Parameters
    ----------
    at
        Epoch seconds. A receiver refuses what is minutes old.
    secret
        `whsec_` and the key in base64, as the specification writes it; any other text is the key itself.
    """
    said = b".".join((identifier.encode(), str(at).encode(), body))
    proof = base64.b64encode(hmac.digest(_key(secret), said, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": identifier,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{proof}",
    }


def _key(secret: bytes) -> bytes:
    prefix, found, text = secret.partition(b"whsec_")
    if prefix or not found:
        return secret
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return secret


async def wanted(job: Job, process: Transcripts) -> bool:
    """Whether the tenant has a webhook. Where that cannot be found out now, it may have: publication does not wait."""
    if process.webhooks is None:
        return False
    try:
        return await _webhook(job, process) is not None
    except IsiError:
        return True


async def _webhook(job: Job, process: Transcripts) -> Webhook | None:
    tenant = (await process.tenants.current()).find(job.tenant)
    return None if tenant is None else tenant.webhook


async def tell(job: Job, step: Tell, journal: JobJournal, process: Transcripts, deadline: Deadline) -> None:
    """Make one try. What comes of it stands in the journal; nothing is raised for the receiver's sake.

    Raises
    ------
    DeadlineExceeded
        There is no time for it now; the timer comes again.
    StorageError
        The journal cannot be written.
    """
    if step.n > MAX_NOTICES:
        # The last try's process died. What it came to is not known, so nobody was told for sure.
        await _settle(job, step, MAX_NOTICES, "given_up", "webhook.unknown", journal)
        return
    if deadline.remaining() < LEAST_SECONDS:
        raise DeadlineExceeded
    if not await journal.notice(step.generation, step.n, PAUSES_SECONDS[step.n - 1]):
        return
    outcome, reason = await _try(job, step, process, deadline)
    if outcome == "failed" and step.n == MAX_NOTICES:
        outcome = "given_up"
    await _settle(job, step, step.n, outcome, reason, journal)


async def _settle(
    job: Job, step: Tell, n: int, outcome: NoticeOutcome, reason: str | None, journal: JobJournal
) -> None:
    await journal.noticed(step.generation, n, outcome, reason)
    level = "info" if outcome == "delivered" else "warning"
    logs.event(f"webhook.{outcome}", level=level, job_id=job.id, generation=step.generation, attempt=n, reason=reason)


async def _try(job: Job, step: Tell, process: Transcripts, deadline: Deadline) -> tuple[NoticeOutcome, str | None]:
    if process.webhooks is None:
        return "given_up", NO_WEBHOOK
    generation = job.generations[step.generation - 1]
    try:
        webhook = await _webhook(job, process)
        if webhook is None:
            return "given_up", NO_WEBHOOK
        secret = await process.webhooks.keys.webhook_secret(webhook.secret_id)
        if secret is None:
            return "failed", NO_SECRET
        body = body_of(job, generation)
        headers = signed(event_id(job, generation), int(process.clock()), body, secret)
        seconds = min(TRY_SECONDS, deadline.remaining())
        status = await process.webhooks.post(webhook.url, body, headers, seconds)
    except FetchError as error:
        return "failed", f"webhook.{error}"
    except IsiError as error:
        return "failed", error.code
    if 200 <= status < 300:
        return "delivered", None
    return ("given_up" if status == GONE else "failed"), f"webhook.status_{status}"
