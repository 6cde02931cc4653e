"""One attempt on a recording: from its bytes to a verdict, with the verdict's files kept.

An attempt ends in one of three ways: with a `Verdict`, good or bad, which is final; with an error that may be gone the
next time, which is raised; or it is lost with its process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from functions.transcripts import mode, publish, report
from functions.transcripts.audio import Sound, layout_of, sides_of
from functions.transcripts.job import MAX_CRASHES, Begin, Job, Verdict
from functions.transcripts.mode import SentenceMode
from functions.transcripts.process import Transcripts
from functions.transcripts.recognise import cut, recognise
from functions.transcripts.transcript import Transcript, files, renumbered
from isikit.audio.probe import Limits
from isikit.errors import AudioError, DeadlineExceeded, SpeechError, TokenError
from isikit.host.context import Deadline
from isikit.stamps import rfc3339

if TYPE_CHECKING:
    from isikit.tenants import Tenant

MAX_BYTES: Final = 256 * 1024 * 1024  # 20 minutes of CD-quality stereo are 212 MB
DECODE_SECONDS: Final = 180.0
DECODE_CPU_SECONDS: Final = 60  # on one core; 20 minutes of any format take some seconds
LEAST_SECONDS: Final = 10.0
"""With less time left nothing is decoded: that we have no time must not look as if the recording broke its reader."""

DELETED: Final = "recording.deleted"
REPLACED: Final = "recording.replaced"
TOO_LARGE: Final = "recording.too_large"
NAME_TOO_LONG: Final = "recording.name_too_long"


class Crashed(AudioError):
    """The decoder's process died on this recording, not for the last time that is granted it."""

    code = report.CRASHED


def check_time(deadline: Deadline) -> None:
    """Raise `DeadlineExceeded` where too little is left to begin with a recording."""
    if deadline.remaining() < LEAST_SECONDS:
        raise DeadlineExceeded


async def verdict_on(job: Job, step: Begin, tenant: Tenant | None, process: Transcripts, deadline: Deadline) -> Verdict:
    """Work on the recording until there is a verdict, and keep the verdict's files under this attempt.

    Parameters
    ----------
    tenant
        The recording's, None where it belongs to nobody known.

    Raises
    ------
    Crashed
        Its reader died; worth another attempt.
    SpeechError, TokenError, StorageError, DeadlineExceeded
        Worth another attempt.
    """
    if step.crashes >= MAX_CRASHES:
        return await _quarantined(report.quarantine(_why_it_crashes(job)), job, step, process)
    if not publish.fits(job):
        advice = "Shorten the recording's name: with what is added to it, its transcript's has over 1023 bytes."
        return Verdict("failed", NAME_TOO_LONG, advice)
    if tenant is None:
        return await _quarantined(report.quarantine(report.UNKNOWN_TENANT), job, step, process)
    if (verdict := await _made_before(job, step, process)) is not None:
        return verdict
    appkeys = mode.appkeys_of(tenant)
    if not appkeys:
        return mode.no_appkey()
    async with process.decoding:
        sound = await _sound(job, step, mode.rate_for(appkeys), process, deadline)
    if isinstance(sound, Verdict):
        return await _quarantined(sound, job, step, process) if sound.state == "quarantined" else sound
    plan = mode.decide(sound, appkeys)
    if isinstance(plan, Verdict):
        return replace(plan, channels=sound.channels)
    try:
        return await _done(job, step, sound, plan, process, deadline)
    except (SpeechError, TokenError) as error:
        if error.retryable:
            raise
        return Verdict(
            "failed", error.code, error.advice, mode=plan.mode, audio_ms=sound.duration_ms, channels=sound.channels
        )


async def _made_before(job: Job, step: Begin, process: Transcripts) -> Verdict | None:
    """The verdict of the generation before, where that was done and its files are still kept: never paid twice."""
    before = job.generations[-2] if len(job.generations) > 1 else None
    if before is None or before.terminal is None or before.terminal.verdict.state != "done":
        return None
    made = await publish.made(process.state, job, before)
    if made is None:
        return None
    generation = job.latest.number
    await publish.keep(process.state, job, generation, step.n, renumbered(made, generation))
    return replace(before.terminal.verdict, calls=0)


async def _sound(
    job: Job, step: Begin, rate_hz: int | None, process: Transcripts, deadline: Deadline
) -> Sound | Verdict:
    """Fetch the recording and decode it."""
    info = await process.recordings.head(job.key)
    if info is not None and info.etag == job.etag and info.size > MAX_BYTES:
        return _too_large()
    found = await process.recordings.get(job.key)
    if found is None:
        return Verdict("skipped", DELETED, "Nothing needs to be done: the recording was deleted before it was read.")
    info, data = found
    if info.etag != job.etag:
        return Verdict("skipped", REPLACED, "Nothing needs to be done: a newer version has its own job.")
    if not data:
        return report.quarantine(report.EMPTY)
    check_time(deadline)  # waiting for a place, and fetching, took some
    # Never less because our time is short: whoever called ends this at the deadline, and that is no crash.
    limits = Limits(
        max_bytes=MAX_BYTES,
        max_seconds=mode.LONGEST_SENTENCE_MODE_MS / 1000,
        wall_seconds=DECODE_SECONDS,
        cpu_seconds=DECODE_CPU_SECONDS,
    )
    try:
        decoded = await process.decode(data, rate_hz, limits)
    except AudioError as error:
        return _unreadable(error, step)
    return await sides_of(decoded)


def _unreadable(error: AudioError, step: Begin) -> Verdict:
    match error.code:
        case "audio.too_long":
            return mode.too_long()
        case "audio.too_large":
            return _too_large()
        case report.CRASHED:
            if step.crashes + 1 < MAX_CRASHES:
                raise Crashed from error
            return report.quarantine(report.CRASHED)
        case report.EMPTY:
            return report.quarantine(report.EMPTY)
        case _:
            return report.quarantine("audio.unreadable")


async def _done(
    job: Job, step: Begin, sound: Sound, plan: SentenceMode, process: Transcripts, deadline: Deadline
) -> Verdict:
    """Recognise, and keep the four files."""
    pieces = await cut(sound)
    turns = await recognise(pieces, plan, process.recognise, process.speaking, deadline)
    transcript = Transcript(
        turns=turns,
        duration_ms=sound.duration_ms,
        rate_hz=sound.rate_hz,
        channels=sound.channels,
        layout=layout_of(sound, {piece.channel for piece in pieces}),
        mode=plan.mode,
        config_digest=plan.digest(),
        created_at=rfc3339(process.clock()),
    )
    generation = job.latest.number
    made = files(transcript, job, generation)
    await publish.keep(process.state, job, generation, step.n, made)
    return Verdict(
        "done",
        files=tuple(made),
        mode=plan.mode,
        audio_ms=sound.duration_ms,
        channels=sound.channels,
        calls=len(pieces),
        turns=len(turns),
    )


async def _quarantined(verdict: Verdict, job: Job, step: Begin, process: Transcripts) -> Verdict:
    """Keep the reports."""
    made = report.files(job, verdict, step.n, process.clock())
    await publish.keep(process.state, job, job.latest.number, step.n, made)
    return verdict


def _why_it_crashes(job: Job) -> str:
    """Whether it was the decoder that died, or the process around it."""
    return report.CRASHED if any(attempt.crashed for attempt in job.latest.attempts) else report.LOST


def _too_large() -> Verdict:
    advice = f"Recordings of up to {MAX_BYTES // 1024 // 1024} MB are transcribed: compress this one, or cut it."
    return Verdict("failed", TOO_LARGE, advice, mode="sentence")
