"""Files: first under the attempt that made them, and once its verdict stands, where people look for them.

In the state bucket `attempts/{id}/{generation}/{n}/...`: several attempts may write, each to its own place. The
terminal record names the attempt that counts, and only its files are copied to the recordings bucket:

- `transcripts/{path}.json|.txt|.srt|.vtt`, where `{path}` is the recording's key without `in/`, extension included, so
  that `a.wav` and `a.mp3` do not collide: always the latest generation's;
- `transcripts/{path}/g{generation}/{name}.json|...`: every generation's;
- `quarantine/{path}` with `.report.txt` and `.report.json` beside it, for what could not be read. Of what is too large
  to be copied there are only the reports, which say where it lies.

Copying again changes nothing, so it can be repeated until the journal says that it was done. Every file carries the
ETag of its recording, so that it can be seen whose transcript lies at a place that several versions share.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Final

from functions.transcripts import report, transcript
from functions.transcripts.events import INPUT, LONGEST_KEY
from functions.transcripts.job import Generation, Job
from isikit.errors import StorageError
from isikit.objects import ObjectInfo, ObjectStore

KINDS: Final = {
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "srt": "application/x-subrip",
    "vtt": "text/vtt; charset=utf-8",
}
MOST_GENERATIONS: Final = 999  # as far as the length of names is planned ahead


def outputs(job: Job) -> dict[str, str]:
    """Keys of the transcript's files, by kind."""
    return {kind: f"transcripts/{_path(job.key)}.{kind}" for kind in KINDS}


def kept(job: Job, generation: int) -> dict[str, str]:
    """Keys of the same files of one generation."""
    path = _path(job.key)
    name = path.rpartition("/")[2]
    return {kind: f"transcripts/{path}/g{generation}/{name}.{kind}" for kind in KINDS}


def quarantined(job: Job) -> str:
    """Key of the copy of a recording that could not be read; its reports are beside it."""
    return f"quarantine/{_path(job.key)}"


def fits(job: Job) -> bool:
    """Whether every key that this job could need is short enough for OSS."""
    keys = [*kept(job, MOST_GENERATIONS).values(), *outputs(job).values()]
    keys += [f"{quarantined(job)}.{name}" for name in (report.TEXT, report.JSON)]
    return all(len(key.encode()) <= LONGEST_KEY for key in keys)


async def keep(state: ObjectStore, job: Job, generation: int, attempt: int, files: Mapping[str, bytes]) -> None:
    """Write an attempt's files to its own place. Type and digest go along when they are copied from there."""
    place = _attempts(job, generation, attempt)
    await side_by_side(
        state.put(
            place + name,
            data,
            content_type=KINDS[name.rpartition(".")[2]],
            metadata={"sha256": hashlib.sha256(data).hexdigest(), "etag": job.etag},
        )
        for name, data in files.items()
    )


async def made(state: ObjectStore, job: Job, generation: Generation) -> dict[str, bytes] | None:
    """The files of a verdict, by name, as its attempt made them; None where one is gone (they are kept for a while).

    Those under `g{n}/` are of no use for this: each version of a recording counts its generations from 1.
    """
    terminal = generation.terminal
    if terminal is None:
        return None
    files: dict[str, bytes] = {}
    for name in terminal.verdict.files:
        found = await state.get(_attempts(job, generation.number, terminal.attempt) + name)
        if found is None:
            return None
        files[name] = found[1]
    return files


async def in_place(recordings: ObjectStore, job: Job) -> bool:
    """Whether the transcript that people find is of this version of the recording."""
    info = await recordings.head(outputs(job)["json"])
    return info is not None and info.metadata.get("etag") == job.etag


async def publish(recordings: ObjectStore, state_bucket: str, job: Job, generation: Generation) -> bool:
    """Copy the files of a verdict into place.

    Returns
    -------
    bool
        False where nothing was copied because the recording was overwritten meanwhile: its place belongs to the
        transcript of the new one.
    """
    terminal = generation.terminal
    if terminal is None or not terminal.verdict.files:
        return True
    current = await recordings.head(job.key)
    if current is not None and current.etag != job.etag:
        return False
    if terminal.verdict.state == "quarantined" and current is not None and report.is_copied(current.size):
        await _copy_recording(recordings, job, current)
    prefix = _attempts(job, generation.number, terminal.attempt)
    await side_by_side(
        recordings.copy(state_bucket, prefix + name, key)
        for name in terminal.verdict.files
        for key in _places(job, generation, name)
    )
    return True


async def side_by_side(calls: Iterable[Awaitable[object]]) -> None:
    """Make calls that need not wait for each other.

    Raises
    ------
    StorageError
        Of the first that failed; by then all others have ended too.
    """
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _copy_recording(recordings: ObjectStore, job: Job, current: ObjectInfo) -> None:
    try:
        await recordings.copy(job.bucket, current.key, quarantined(job))
    except StorageError as error:
        if error.code != "oss.no_such_key":
            raise  # deleted meanwhile: the report still says what it was


def _places(job: Job, generation: Generation, name: str) -> Iterator[str]:
    """Where a file goes."""
    if name in (report.TEXT, report.JSON):
        yield f"{quarantined(job)}.{name}"
        return
    kind = name.removeprefix(f"{transcript.NAME}.")
    yield kept(job, generation.number)[kind]
    if generation.number == job.latest.number:
        yield outputs(job)[kind]


def _attempts(job: Job, generation: int, attempt: int) -> str:
    return f"attempts/{job.id}/{generation}/{attempt}/"


def _path(key: str) -> str:
    return key.removeprefix(INPUT)
