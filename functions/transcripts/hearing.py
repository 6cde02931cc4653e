"""A recording fetched, looked into and heard as far as its mode needs: the first half of an attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from functions.transcripts import mode, report
from functions.transcripts.audio import Sound, layout_of, sides_of
from functions.transcripts.headless import is_headless, with_header
from functions.transcripts.job import MAX_CRASHES, Job, Verdict
from functions.transcripts.mode import Plan, WholeMode
from functions.transcripts.next_step import Begin
from functions.transcripts.process import Transcripts
from isikit.audio.probe import Limits, Measured
from isikit.errors import AudioError, DeadlineExceeded, IsiError
from isikit.host.context import Deadline

if TYPE_CHECKING:
    from isikit.tenants import Source

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

_LONGER: Final = Verdict("failed", "recording.longer")
"""Stands for a recording that has to be measured; never written anywhere."""


class Crashed(AudioError):
    """The decoder's process died on this recording, not for the last time that is granted it."""

    code = report.CRASHED


def check_time(deadline: Deadline) -> None:
    """Raise `DeadlineExceeded` where too little is left to begin with a recording."""
    if deadline.remaining() < LEAST_SECONDS:
        raise DeadlineExceeded


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


async def hear(
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
        return replaced()
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


def replaced() -> Verdict:
    """The verdict on a version that is not there any more."""
    return Verdict("skipped", REPLACED, "Nothing needs to be done: a newer version has its own job.")


def _too_large() -> Verdict:
    advice = f"Recordings of up to {MAX_BYTES // 1024 // 1024} MB are transcribed: compress this one, or cut it."
    return Verdict("failed", TOO_LARGE, advice)
