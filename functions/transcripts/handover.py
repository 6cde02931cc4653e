"""A recording handed over to the service's queue, and what comes back.

What is handed over is a copy under `work/` in the state bucket: its key is ours, plain ASCII and never written again,
where a recording's may hold anything [the queue takes no blanks and advises against Chinese] and may be overwritten
while it waits. The copy is deleted when the generation has its outcome, the bucket's lifecycle sweeps what is left.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.transcripts import mode, publish
from functions.transcripts.callbacks import LIFE_SECONDS, Callback
from functions.transcripts.job import Cause, Job, Submission, Verdict
from functions.transcripts.mode import WholeMode
from functions.transcripts.transcript import Transcript, Turn, files, turns_of
from isikit import logs
from isikit.errors import IsiError, SpeechError
from isikit.nls.filetrans import Failed, FileOrder, Finished, SubmissionUnclear
from isikit.retry import RetryBudget, retrying
from isikit.stamps import rfc3339

if TYPE_CHECKING:
    from functions.transcripts.job_journal import JobJournal
    from functions.transcripts.process import FileQueue, Transcripts
    from isikit.host.context import Deadline
    from isikit.nls.filetrans import TaskAnswer

URL_SECONDS: Final = 12 * 3600
"""OSS ends a signature made with a role's credentials after 12 hours at the latest."""
EXPECTED_SECONDS: Final = 3 * 3600.0
"""What the service promises; on trial, or with over 500 hours of audio in half an hour, it may take 24 hours."""
OVERDUE_SECONDS: Final = 26 * 3600.0
FORGOTTEN_SECONDS: Final = OVERDUE_SECONDS + 72 * 3600.0
"""Results are kept for 72 hours: after this, asking would bring nothing to light any more."""
TRIES: Final = 3

OVERDUE: Final = "recording.task_overdue"
UNANSWERED: Final = "recording.task_lost"
UNASKED: Final = "recording.task_unreachable"

_FRESH_URL: Final = frozenset({"nls.file_not_fetched"})
_GONE: Final = frozenset({"nls.task_expired"})
_budget = RetryBudget()


@dataclass(frozen=True, slots=True)
class LetGo:
    """The service has the recording, or may have it."""


def work_key(job: Job, generation: int, container: str) -> str:
    """Where the copy lies in the state bucket."""
    return f"work/{job.id}/{generation}.{mode.EXTENSIONS[container]}"


async def headed(job: Job, plan: WholeMode, data: bytes, process: Transcripts) -> None:
    """Put what was made of a headerless recording in the copy's place."""
    key = work_key(job, job.latest.number, plan.container)
    await process.state.put(key, data, content_type="audio/wav")


async def copied(job: Job, plan: WholeMode, process: Transcripts) -> bool:
    """Make the copy; False where the recording is not the one any more that the job is of."""
    try:
        target = work_key(job, job.latest.number, plan.container)
        await process.state.copy(process.recordings_bucket, job.key, target, if_match=job.etag)
    except IsiError as error:
        if error.code in ("oss.no_such_key", "oss.precondition_failed"):
            return False
        raise
    # What was overwritten since is not worth its price any more.
    info = await process.recordings.head(job.key)
    return info is not None and info.etag == job.etag


async def submit(
    job: Job, n: int, cause: Cause, plan: WholeMode, journal: JobJournal, process: Transcripts, deadline: Deadline
) -> LetGo:
    """Hand the copy over, with the intent written first.

    Raises
    ------
    SpeechError, TokenError, StorageError, KeysUnavailable
        The service does not have it.
    ClaimLost
        Somebody else is on the job.
    """
    queue, generation = process.queue_or_refuse(), job.latest.number
    service = queue.service(plan.role_arn)
    number = len(job.latest.submissions) + 1
    expires_at = int(journal.now + LIFE_SECONDS)
    order = FileOrder(
        appkey=plan.appkey,
        url=queue.presign(work_key(job, generation, plan.container), URL_SECONDS),
        first_channel_only=plan.first_channel_only,
        adaptive=plan.adaptive,
        callback_url=await _callback_url(Callback(job.id, generation, number, expires_at), queue),
    )
    number = await journal.intend(generation, n, cause, plan.record(), EXPECTED_SECONDS)
    try:
        task = await retrying(
            lambda: service.submit(order, deadline),
            operation="pop.SubmitTask",
            deadline=deadline,
            budget=_budget,
            attempts=TRIES,
            sleep=process.pause,
        )
    except SubmissionUnclear as error:
        logs.failure("job.submission_unclear", error, level="warning", job_id=job.id, attempt=n)
        return LetGo()
    except IsiError:
        await journal.withdraw(generation, n, number)
        raise
    await journal.submitted(generation, number, task, EXPECTED_SECONDS)
    logs.event("job.submitted", job_id=job.id, generation=generation, attempt=n, mode=plan.mode, reason=cause)
    return LetGo()


async def _callback_url(callback: Callback, queue: FileQueue) -> str:
    return callback.url(queue.callback_base, await queue.keys.current()) if queue.callback_base else ""


async def followed(
    job: Job,
    submission: Submission,
    answer: Finished | Failed,
    n: int,
    journal: JobJournal,
    process: Transcripts,
    deadline: Deadline,
) -> Verdict | LetGo:
    """What follows from the end of a task: the transcript, another submission, or the end.

    Raises
    ------
    SpeechError, StorageError, ClaimLost
        As `submit`; what the service has stays asked for.
    """
    plan = WholeMode.recorded(submission.plan)
    if isinstance(answer, Finished):
        # In a thread, as `files` below: of twelve hours it takes seconds, in which the claim must be prolonged and the
        # platform's health checks answered.
        return await written(job, n, plan, await asyncio.to_thread(turns_of, answer.sentences), process)
    cause = _again(job, answer.error)
    if cause is None:
        return failed(job, submission, answer.error.code, answer.error.advice)
    return await submit(job, n, cause, plan, journal, process, deadline)


async def unanswered(
    job: Job, submission: Submission, n: int, journal: JobJournal, process: Transcripts, deadline: Deadline
) -> Verdict | LetGo:
    """What follows when nothing was heard of a submission: once another, then the end."""
    plan = WholeMode.recorded(submission.plan)
    if any(each.cause == "unanswered" for each in job.latest.submissions):
        advice = "Twice no answer came from the speech service: check its console, then upload the recording again."
        return failed(job, submission, UNANSWERED, advice)
    return await submit(job, n, "unanswered", plan, journal, process, deadline)


def overdue(job: Job, submission: Submission) -> Verdict:
    """The verdict on a task that does not end."""
    advice = "The speech service did not finish this in 26 hours: check its console, then upload the recording again."
    return failed(job, submission, OVERDUE, advice)


async def asked(submission: Submission, process: Transcripts, deadline: Deadline) -> TaskAnswer:
    """What has become of a task, asked of the account that it was submitted to.

    Raises
    ------
    SpeechError, TokenError, ConfigError, DeadlineExceeded
        It could not be asked.
    """
    if submission.task is None:
        raise TypeError("only a submission with a task can be asked for")
    service = process.queue_or_refuse().service(WholeMode.recorded(submission.plan).role_arn)
    return await service.result(submission.task, deadline)


def unasked(job: Job, submission: Submission) -> Verdict:
    """The verdict on a task that nobody could ask for until its result was gone."""
    advice = (
        "For four days the speech service could not be asked what became of it: find the reason in job.resume_failed, "
        "mend it (rights, the tenant's role, ISI_FILETRANS), then replay the job."
    )
    return failed(job, submission, UNASKED, advice)


def failed(job: Job, submission: Submission, reason: str, advice: str) -> Verdict:
    """A verdict without a transcript, with what was spent."""
    plan = WholeMode.recorded(submission.plan)
    return Verdict(
        "failed",
        reason,
        advice,
        mode=plan.mode,
        audio_ms=plan.duration_ms,
        channels=plan.channels,
        possible_double=_possible_doubles(job),
    )


async def written(job: Job, n: int, plan: WholeMode, turns: tuple[Turn, ...], process: Transcripts) -> Verdict:
    """Keep the files of a recording that was recognised as a whole."""
    generation = job.latest.number
    made = await asyncio.to_thread(
        files,
        Transcript(
            turns=turns,
            duration_ms=plan.duration_ms,
            rate_hz=plan.rate_hz,
            channels=plan.channels,
            layout=plan.layout,
            mode=plan.mode,
            config_digest=plan.digest(),
            created_at=rfc3339(process.clock()),
            roles=plan.roles,
        ),
        job,
        generation,
    )
    await publish.keep(process.state, job, generation, n, made)
    return Verdict(
        "done",
        files=tuple(made),
        mode=plan.mode,
        audio_ms=plan.duration_ms,
        channels=plan.channels,
        calls=0 if plan.silent else 1 + _possible_doubles(job),
        turns=len(turns),
        possible_double=_possible_doubles(job),
    )


async def swept(job: Job, process: Transcripts) -> None:
    """Delete the copies of a generation that has its outcome."""
    for key in {
        work_key(job, job.latest.number, WholeMode.recorded(each.plan).container) for each in job.latest.submissions
    }:
        await process.state.delete(key)


def _again(job: Job, error: SpeechError) -> Cause | None:
    """Why a task that failed is worth another, each reason once in a generation; failed tasks are not billed."""
    cause: Cause
    if error.code in _FRESH_URL:
        cause = "fresh_url"
    elif error.code in _GONE:
        cause = "task_gone"
    elif error.retryable:
        cause = "service_error"
    else:
        return None
    return None if any(each.cause == cause for each in job.latest.submissions) else cause


def _possible_doubles(job: Job) -> int:
    return sum(each.possible_double and not each.withdrawn for each in job.latest.submissions)
