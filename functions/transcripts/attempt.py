"""One attempt on a recording: from its bytes to a verdict, with the verdict's files kept.

An attempt ends in one of four ways: with a `Verdict`, good or bad, which is final; with the recording left to the
service's queue; with an error that may be gone the next time, which is raised; or it is lost with its process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from functions.transcripts import handover, mode, publish, report
from functions.transcripts.admission import admit
from functions.transcripts.audio import Sound, layout_of, sides_of
from functions.transcripts.handover import LetGo
from functions.transcripts.headless import is_headless, with_header
from functions.transcripts.job import MAX_CRASHES, Begin, Job, Postponed, Verdict
from functions.transcripts.mode import Plan, SentenceMode, WholeMode
from functions.transcripts.process import Transcripts
from functions.transcripts.recognise import cut, every_side, recognise
from functions.transcripts.source import rule_of
from functions.transcripts.transcript import Transcript, Turn, files, renumbered, turns_of
from isikit.audio.probe import Limits, Measured
from isikit.errors import AudioError, DeadlineExceeded, IsiError, SpeechError, TokenError
from isikit.host.context import Deadline
from isikit.nls.flash import FlashOrder
from isikit.stamps import rfc3339

if TYPE_CHECKING:
    from functions.transcripts.job_journal import JobJournal
    from isikit.tenants import Source, Tenant

MAX_BYTES: Final = 256 * 1024 * 1024  # 20 minutes of CD-quality stereo are 212 MB
DECODE_SECONDS: Final = 180.0
DECODE_CPU_SECONDS: Final = 60  # on one core; 20 minutes of any format take some seconds
MEASURE_SECONDS: Final = 300.0
MEASURE_CPU_SECONDS: Final = 240  # twelve hours of MP3 take two minutes
LEAST_SECONDS: Final = 10.0
"""With less time left nothing is decoded: that we have no time must not look as if the recording broke its reader."""

DELETED: Final = "recording.deleted"
REPLACED: Final = "recording.replaced"
TOO_LARGE: Final = "recording.too_large"
NAME_TOO_LONG: Final = "recording.name_too_long"


_LONGER: Final = Verdict("failed", "recording.longer")
"""Stands for a recording that has to be measured; never written anywhere."""


class Crashed(AudioError):
    """The decoder's process died on this recording, not for the last time that is granted it."""

    code = report.CRASHED


def check_time(deadline: Deadline) -> None:
    """Raise `DeadlineExceeded` where too little is left to begin with a recording."""
    if deadline.remaining() < LEAST_SECONDS:
        raise DeadlineExceeded


async def verdict_on(
    job: Job, step: Begin, tenant: Tenant | None, journal: JobJournal, process: Transcripts, deadline: Deadline
) -> Verdict | LetGo | Postponed:
    """Work on the recording until there is a verdict, and keep the verdict's files; or leave it to the service.

    Or find that it is not its turn.

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
    rule = rule_of(job.key, tenant)
    appkeys = mode.appkeys_of(tenant, None if rule is None else rule.locale)
    if not appkeys:
        return mode.no_appkey()
    waited = job.latest.postponed
    if waited is not None:  # its length is known: it need not be decoded to be postponed once more
        held = await admit(step.n, waited.seconds, waited.audio_ms, tenant, journal, process)
        if held is not None:
            return held
    async with process.decoding:
        heard = _with_roles(await _hear(job, step, rule, appkeys, process.offered, process, deadline), rule)
    if isinstance(heard, Verdict):
        return await _quarantined(heard, job, step, process) if heard.state == "quarantined" else heard
    held = await admit(step.n, heard.billed_seconds, heard.duration_ms, tenant, journal, process)
    if held is not None:
        return replace(held, mode=heard.plan.mode) if isinstance(held, Verdict) else held
    try:
        return await _recognised(job, step, heard, tenant, journal, process, deadline)
    except (SpeechError, TokenError) as error:
        if error.retryable:
            raise
        return heard.failed(error)


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as far as its mode needs it: decoded, or as the file it is, with the plan for it.

    `headless`: the file has a header only here, by the tenant's rule.
    """

    plan: Plan
    sound: Sound | None = field(default=None, repr=False)
    data: bytes = field(default=b"", repr=False)
    headless: bool = False

    @property
    def billed_seconds(self) -> int:
        """What the service bills at most: by duration and side; of a file at 8 kHz both sides are one."""
        if isinstance(self.plan, WholeMode):
            one = self.plan.first_channel_only or (self.plan.mode == "file" and self.plan.rate_hz == min(mode.RATES))
            return 0 if self.plan.silent else math.ceil(self.plan.duration_ms / 1000) * (1 if one else 2)
        return 0 if self.sound is None else math.ceil(self.sound.duration_ms / 1000) * len(self.sound.sides)

    @property
    def duration_ms(self) -> int:
        """Of the recording."""
        return getattr(self.sound or self.plan, "duration_ms", 0)

    def failed(self, error: IsiError) -> Verdict:
        """The verdict where it will never be recognised."""
        channels = getattr(self.sound or self.plan, "channels", 0)
        return Verdict(
            "failed", error.code, error.advice, mode=self.plan.mode, audio_ms=self.duration_ms, channels=channels
        )


def _with_roles(heard: Heard | Verdict, rule: Source | None) -> Heard | Verdict:
    """With who speaks on which channel, where the tenant's rule says so."""
    if isinstance(heard, Verdict) or rule is None:
        return heard
    return replace(heard, plan=replace(heard.plan, roles={str(at): role for at, role in rule.channel_roles.items()}))


async def _made_before(job: Job, step: Begin, process: Transcripts) -> Verdict | None:
    """The verdict of the generation before, where that was done and its files are still kept: never paid twice.

    Unless somebody wants just that.
    """
    if job.latest.replayed:
        return None
    before = job.generations[-2] if len(job.generations) > 1 else None
    if before is None or before.terminal is None or before.terminal.verdict.state != "done":
        return None
    made = await publish.made(process.state, job, before)
    if made is None:
        return None
    generation = job.latest.number
    await publish.keep(process.state, job, generation, step.n, renumbered(made, generation))
    return replace(before.terminal.verdict, calls=0)


async def _hear(
    job: Job,
    step: Begin,
    rule: Source | None,
    appkeys: dict[int, str],
    offered: frozenset[str],
    process: Transcripts,
    deadline: Deadline,
) -> Heard | Verdict:
    """Fetch the recording, look into it, and choose its mode.

    It is decoded into memory only up to the length that sentence mode may have. What is longer is decoded a second
    time and only measured.
    """
    data = await _fetched(job, process)
    if isinstance(data, Verdict):
        return data
    wish: mode.Wish = "auto" if rule is None else rule.mode
    headless = rule is not None and is_headless(data, rule)
    data = with_header(data, rule) if headless and rule is not None else data
    if wish == "realtime" and wish not in offered:
        return mode.not_offered(wish)
    if longest_ms := mode.decoded_ms(wish, offered):
        sound = await _sound(data, longest_ms, step, appkeys, process, deadline)
        if isinstance(sound, Sound):
            plan = _plan(wish, sound, appkeys)
            return replace(plan, channels=sound.channels) if isinstance(plan, Verdict) else Heard(plan, sound)
        if sound is not _LONGER:
            return sound
        if wish != "auto" or not {"file", "flash"} & offered:
            return mode.too_long("sentence" if wish == "auto" else wish)
    measured = await _measured(data, step, process, deadline)
    if isinstance(measured, Verdict):
        return measured
    whole = mode.as_a_whole(wish, measured, len(data), appkeys, offered)
    if not isinstance(whole, str):
        return (
            replace(whole, channels=measured.channels)
            if isinstance(whole, Verdict)
            else Heard(whole, data=data, headless=headless)
        )
    sound = await _sound(data, mode.LONGEST_SENTENCE_MODE_MS, step, appkeys, process, deadline)
    if not isinstance(sound, Sound):
        return sound
    plan = mode.in_pieces(sound, appkeys)
    return plan if isinstance(plan, Verdict) else Heard(plan, sound)


def _plan(wish: mode.Wish, sound: Sound, appkeys: dict[int, str]) -> Plan | Verdict:
    if wish == "realtime":
        return mode.as_played(sound, appkeys, layout_of(sound, {side.channel for side in sound.sides}))
    return mode.in_pieces(sound, appkeys)


async def _fetched(job: Job, process: Transcripts) -> bytes | Verdict:
    """The recording's bytes, if they are still there and not too many."""
    info = await process.recordings.head(job.key)
    if info is not None and info.etag == job.etag and info.size > MAX_BYTES:
        return _too_large()
    found = await process.recordings.get(job.key)
    if found is None:
        return Verdict("skipped", DELETED, "Nothing needs to be done: the recording was deleted before it was read.")
    info, data = found
    if info.etag != job.etag:
        return _replaced()
    return data or report.quarantine(report.EMPTY)


async def _sound(
    data: bytes, longest_ms: int, step: Begin, appkeys: dict[int, str], process: Transcripts, deadline: Deadline
) -> Sound | Verdict:
    """Decode it; `_LONGER` where it is longer than that."""
    check_time(deadline)  # waiting for a place, and fetching, took some
    # Never less because our time is short: whoever called ends this at the deadline, and that is no crash.
    limits = Limits(
        max_bytes=MAX_BYTES,
        max_seconds=longest_ms / 1000,
        wall_seconds=DECODE_SECONDS,
        cpu_seconds=DECODE_CPU_SECONDS,
    )
    try:
        decoded = await process.decode(data, mode.rate_for(appkeys), limits)
    except AudioError as error:
        return _LONGER if error.code == "audio.too_long" else _unreadable(error, step)
    return await sides_of(decoded)


async def _measured(data: bytes, step: Begin, process: Transcripts, deadline: Deadline) -> Measured | Verdict:
    """Measure it."""
    check_time(deadline)
    limits = Limits(
        max_bytes=MAX_BYTES,
        max_seconds=mode.LONGEST_FILE_MS / 1000,
        wall_seconds=MEASURE_SECONDS,
        cpu_seconds=MEASURE_CPU_SECONDS,
    )
    try:
        return await process.measure(data, limits)
    except AudioError as error:
        return mode.too_long("file") if error.code == "audio.too_long" else _unreadable(error, step)


def _unreadable(error: AudioError, step: Begin) -> Verdict:
    match error.code:
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


async def _recognised(
    job: Job,
    step: Begin,
    heard: Heard,
    tenant: Tenant,
    journal: JobJournal,
    process: Transcripts,
    deadline: Deadline,
) -> Verdict | LetGo:
    plan = heard.plan
    if isinstance(plan, SentenceMode):
        if heard.sound is None:
            raise TypeError("sentence mode works on what was decoded")
        return await _done(job, step, heard.sound, plan, process, deadline)
    if plan.silent:
        return await handover.written(job, step.n, plan, (), process)  # nothing to pay for
    if plan.mode == "file":
        plan = replace(plan, role_arn=tenant.role_arn)
        if heard.headless:
            await handover.headed(job, plan, heard.data, process)
        elif not await handover.copied(job, plan, process):
            return _replaced()
        return await handover.submit(job, step.n, "first", plan, journal, process, deadline)
    turns = await _at_once(heard, plan, process, deadline)
    return await handover.written(job, step.n, plan, turns, process)


async def _at_once(heard: Heard, plan: WholeMode, process: Transcripts, deadline: Deadline) -> tuple[Turn, ...]:
    """Flash and realtime: recognised while this attempt waits."""
    if plan.mode == "flash" and process.flash is not None:
        order = FlashOrder(
            plan.appkey, mode.FLASH_FORMATS[plan.container].lower(), plan.rate_hz, plan.first_channel_only
        )
        async with process.speaking:
            return turns_of(await process.flash(heard.data, order, deadline))
    if plan.mode == "realtime" and process.realtime is not None and heard.sound is not None:
        return turns_of(await every_side(heard.sound, plan, process.realtime, process.speaking, deadline))
    raise SpeechError(f"There is no {plan.mode} mode here.", code="nls.mode_missing")


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
        roles=plan.roles,
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


def _replaced() -> Verdict:
    return Verdict("skipped", REPLACED, "Nothing needs to be done: a newer version has its own job.")


def _too_large() -> Verdict:
    advice = f"Recordings of up to {MAX_BYTES // 1024 // 1024} MB are transcribed: compress this one, or cut it."
    return Verdict("failed", TOO_LARGE, advice)
