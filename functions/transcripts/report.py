"""What lies beside a quarantined recording: the reason in plain words, and the same for programs."""

from __future__ import annotations

from typing import Final

import msgspec

from functions.transcripts.job import Job, Verdict
from isikit.stamps import rfc3339

TEXT: Final = "report.txt"
JSON: Final = "report.json"
SCHEMA: Final = "quarantine/1"
COPIED_BYTES: Final = 200 * 1024 * 1024
"""Up to this size a recording is copied beside its report. CopyObject takes up to 1 GB (OSS API reference), and where
it copies bytes it must answer before the store's read timeout of 5 s."""

UNKNOWN_TENANT: Final = "tenant.unknown"
EMPTY: Final = "audio.empty"
CRASHED: Final = "audio.crashed"
LOST: Final = "attempts.lost"

_AGAIN: Final = "then upload it again under in/"

WORDS: Final[dict[str, tuple[str, str]]] = {
    EMPTY: (
        "The recording holds no sound: the file is empty, or ends right after its header.",
        f"Check that the recorder writes to the file and closes it before it is uploaded, {_AGAIN}.",
    ),
    "audio.unreadable": (
        "The file could not be read as audio. It is damaged, or not a recording at all.",
        f"Check that it opens in an ordinary player, convert it to WAV, MP3, M4A, Ogg or FLAC, {_AGAIN}.",
    ),
    CRASHED: (
        "Reading the file stopped the reader, three times. It is damaged, or made to do harm.",
        f"Do not open it where it matters. Convert it to WAV with a tool you trust, {_AGAIN}.",
    ),
    LOST: (
        "Three attempts on this recording ended without a word: each time the process that worked on it died.",
        f"Look into the function's log around these times for memory or timeouts. Make the file smaller, {_AGAIN}.",
    ),
    UNKNOWN_TENANT: (
        "The folder it was uploaded to belongs to no known tenant.",
        "Upload it to in/{tenant}/, with the name of a tenant from the tenants file. Or add the tenant there, wait "
        f"half a minute, {_AGAIN}.",
    ),
}
"""Reason -> what happened, and what to do about it."""


def quarantine(reason: str) -> Verdict:
    """The verdict on a recording that cannot be read."""
    return Verdict("quarantined", reason, WORDS[reason][1], files=(TEXT, JSON))


def is_copied(size: int | None) -> bool:
    """Whether a recording of so many bytes is copied; what no size is known of is looked at when it is."""
    return size is None or size <= COPIED_BYTES


def _copy(job: Job) -> str:
    most = f"{COPIED_BYTES // 1024 // 1024} MB"
    if job.size is None:
        return f"beside this report, unless it is larger than {most}"
    return "beside this report" if is_copied(job.size) else f"none, it is larger than {most}"


def files(job: Job, verdict: Verdict, attempt: int, at: float) -> dict[str, bytes]:
    """Both reports, by name."""
    reason = verdict.reason or ""
    happened, advice = WORDS[reason]
    size = "unknown" if job.size is None else f"{job.size} bytes"
    text = (
        "This recording was not transcribed.\n\n"
        f"What happened: {happened}\n"
        f"What to do:    {advice}\n\n"
        f"Recording: {job.key} in bucket {job.bucket}\n"
        f"Copy:      {_copy(job)}\n"
        f"Version:   {job.etag}, {size}\n"
        f"Call id:   {job.call_id or 'none given'}\n"
        f"Attempts:  {attempt}, the last at {rfc3339(at)}\n"
        f"Reason:    {reason}\n"
        f"Job:       {job.id}\n"
    )
    facts = {
        "schema": SCHEMA,
        "job_id": job.id,
        "bucket": job.bucket,
        "key": job.key,
        "etag": job.etag,
        "size": job.size,
        "copied": is_copied(job.size),
        "call_id": job.call_id,
        "reason": reason,
        "what_happened": happened,
        "what_to_do": advice,
        "attempts": attempt,
        "created_at": rfc3339(at),
    }
    return {TEXT: text.encode(), JSON: msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n"}
