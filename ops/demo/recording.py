"""Step 3: a recording is uploaded with plain oss2; its transcript appears beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import oss2
import requests

WAIT_SECONDS = 90
KINDS = ("json", "txt", "srt", "vtt")


class TranscriptMissing(Exception):
    """The recording did not become a transcript; the message says what became of it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the demo shows of one transcript; `seconds` from upload to publication."""

    text: str
    seconds: float
    files: tuple[Path, ...]


def upload(local: dict[str, Any], path: Path, key: str) -> None:
    """Put the file where the object-created event of `in/` picks it up."""
    _bucket(local).put_object_from_file(key, str(path), headers={"x-oss-meta-call-id": "demo-call-1"})


def await_transcript(local: dict[str, Any], key: str, folder: Path) -> Transcript:
    """Ask `GET /v1/jobs` until the job is done, then fetch its four files."""
    started, bucket_name = time.monotonic(), local["oss"]["buckets"]["recordings"]
    while time.monotonic() < started + WAIT_SECONDS:
        answer = requests.get(
            f"{local['gateway']}/v1/jobs",
            params={"bucket": bucket_name, "key": key},
            headers={"X-Api-Key": local["tenant"]["api_key"]},
            timeout=30,
        )
        answer.raise_for_status()
        jobs = answer.json()["jobs"]
        if jobs and jobs[-1]["state"] in ("failed", "quarantined", "skipped"):
            raise TranscriptMissing(f"the job ended {jobs[-1]['state']}: {jobs[-1]['reason']}")
        if jobs and jobs[-1]["state"] == "done" and jobs[-1]["outputs"]:
            seconds = time.monotonic() - started
            files = tuple(_fetch(local, jobs[-1]["outputs"][kind], folder) for kind in KINDS)
            return Transcript(files[1].read_text(encoding="utf-8").strip(), seconds, files)
        time.sleep(0.25)
    raise TranscriptMissing(f"no transcript after {WAIT_SECONDS} s; see the logs of the asr function")


def word_error_rate(spoken: str, recognised: str) -> float:
    """Share of words wrong, regardless of case, punctuation and whether a number is written in digits or words."""
    from whisper_normalizer.english import EnglishTextNormalizer

    written = EnglishTextNormalizer()
    return float(jiwer.wer(written(spoken), written(recognised)))


def _fetch(local: dict[str, Any], key: str, folder: Path) -> Path:
    path = folder / Path(key).name
    _bucket(local).get_object_to_file(key, str(path))
    return path


def _bucket(local: dict[str, Any]) -> Any:
    keys = local["credentials"]
    auth = oss2.AuthV4(keys["access_key_id"], keys["access_key_secret"])
    oss = local["oss"]
    return oss2.Bucket(auth, oss["endpoint"], oss["buckets"]["recordings"], region=oss["region"], connect_timeout=10)
