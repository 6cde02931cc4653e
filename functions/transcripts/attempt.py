"""One attempt on a recording: from its bytes to a verdict, with the verdict's files kept.

An attempt ends in one of four ways: with a `Verdict`, good or bad, which is final; with the recording left to the
service's queue; with an error that may be gone the next time, which is raised; or it is lost with its process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from functions.transcripts import handover, mode, publish, report
from functions.transcripts.admission import admit
from functions.transcripts.audio import Sound, layout_of
from functions.transcripts.handover import LetGo
from functions.transcripts.hearing import Heard, hear, replaced
from functions.transcripts.job import MAX_CRASHES, Job, Postponed, Verdict
from functions.transcripts.mode import SentenceMode, WholeMode
from functions.transcripts.next_step import Begin
from functions.transcripts.process import Transcripts
from functions.transcripts.recognise import cut, every_side, recognise
from functions.transcripts.source import rule_of
from functions.transcripts.transcript import Transcript, Turn, files, renumbered, turns_of
from isikit.errors import SpeechError, TokenError
from isikit.host.context import Deadline
from isikit.nls.flash import FlashOrder
from isikit.stamps import rfc3339

if TYPE_CHECKING:
    from functions.transcripts.job_journal import JobJournal
    from isikit.tenants import Source, Tenant

NAME_TOO_LONG: Final = "recording.name_too_long"


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
        heard = _with_roles(await hear(job, step, rule, appkeys, process.offered, process, deadline), rule)
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
            return replaced()
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
