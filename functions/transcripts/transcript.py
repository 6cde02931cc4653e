"""A transcript: turns, and the four files made of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from functions.transcripts import subtitles
from functions.transcripts.audio import Layout
from functions.transcripts.job import Job
from isikit.nls.sentences import Sentence, Word

SCHEMA: Final = "transcript/1"
NAME: Final = "transcript"
ROLE_SOURCE: Final = "channel_roles"
"""The rule in the tenants file; the only source of roles."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said on one channel in one stretch. `end_ms` is after `start_ms`; the text is one line, never empty.

    `words` are there where the mode tells them.
    """

    start_ms: int
    end_ms: int
    channel: int
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """All turns, by time, with what they were made of.

    Attributes
    ----------
    channels
        Channels in the recording.
    layout
        How those relate. Two channels that hold the same sound are recognised once, as channel 0.
    roles
        Who speaks on a channel, as the tenant's rule for the recording's source says; nobody guesses.
    config_digest
        Digest of mode, AppKey and everything else but the recording that decides the text.
    created_at
        RFC 3339.
    """

    turns: tuple[Turn, ...]
    duration_ms: int
    rate_hz: int
    channels: int
    layout: Layout
    mode: str
    config_digest: str
    created_at: str
    roles: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All that was said, one turn a line."""
        return "\n".join(turn.text for turn in self.turns)

    def role(self, channel: int) -> str | None:
        """Who speaks on a channel. Where both hold the same sound, both speak on either."""
        return None if self.layout == "same_on_both_sides" else self.roles.get(str(channel))

    @property
    def labelled(self) -> bool:
        """Whether it matters which channel a turn is from."""
        return self.layout in ("one_side_silent", "two_sides")


def clean(text: str) -> str:
    """One line of text without control characters and lone surrogates, which no subtitle file can hold."""
    kept = "".join(" " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each for each in text)
    return " ".join(kept.split())


def turns_of(sentences: Iterable[Sentence]) -> tuple[Turn, ...]:
    """Turns of what the service said of a whole recording, by time; what holds no text is left out."""
    turns = [
        Turn(each.start_ms, max(each.end_ms, each.start_ms + 1), each.channel, text, _words(each))
        for each in sentences
        if (text := clean(each.text))
    ]
    return tuple(sorted(turns, key=lambda turn: (turn.start_ms, turn.channel)))


def _words(sentence: Sentence) -> tuple[Word, ...]:
    cleaned = (Word(word.start_ms, word.end_ms, clean(word.text)) for word in sentence.words)
    return tuple(word for word in cleaned if word.text)


def files(transcript: Transcript, job: Job, generation: int) -> dict[str, bytes]:
    """The four files, by name. A recording without speech has valid ones too."""
    cues = subtitles.cues(transcript.turns, labelled=transcript.labelled)
    return {
        f"{NAME}.json": _pretty(document(transcript, job, generation)),
        f"{NAME}.txt": _plain(transcript.turns, labelled=transcript.labelled).encode(),
        f"{NAME}.srt": subtitles.srt(cues).encode(),
        f"{NAME}.vtt": subtitles.vtt(cues).encode(),
    }


def renumbered(made: Mapping[str, bytes], generation: int) -> dict[str, bytes]:
    """The files of an earlier generation as those of another."""
    told = msgspec.json.decode(made[f"{NAME}.json"], type=dict[str, Any])
    return {**made, f"{NAME}.json": _pretty({**told, "generation": generation})}


def document(transcript: Transcript, job: Job, generation: int) -> dict[str, Any]:
    """The JSON file's content."""
    return {
        "schema": SCHEMA,
        "job_id": job.id,
        "generation": generation,
        "bucket": job.bucket,
        "key": job.key,
        "etag": job.etag,
        "call_id": job.call_id,
        "created_at": transcript.created_at,
        "mode": transcript.mode,
        "config_digest": transcript.config_digest,
        "duration_ms": transcript.duration_ms,
        "sample_rate_hz": transcript.rate_hz,
        "channels": transcript.channels,
        "layout": transcript.layout,
        "metadata": dict(job.metadata),
        "role_source": ROLE_SOURCE if any(transcript.role(each) for each in range(transcript.channels)) else None,
        "text": transcript.text,
        "turns": [_told(turn, transcript.role(turn.channel)) for turn in transcript.turns],
    }


def _told(turn: Turn, role: str | None) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(turn)
    if role is not None:
        told["role"] = role
    if not turn.words:
        del told["words"]
    return told


def _pretty(told: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _plain(turns: Sequence[Turn], *, labelled: bool) -> str:
    return "".join(
        f"{subtitles.label(turn.channel)}: {turn.text}\n" if labelled else f"{turn.text}\n" for turn in turns
    )
