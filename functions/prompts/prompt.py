"""A prompt: everything that can be heard of it, and where its objects lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from functions.prompts import pieces
from functions.prompts.ids import prompt_id
from functions.prompts.rendition import Rendition
from isikit.nls import synthesis
from isikit.secrets import Keys

Retention = Literal["permanent", "day"]
Cache = Literal["use", "refresh", "bypass"]

DAY_SECONDS: Final = 86_400
_PREFIXES: Final[dict[Retention, str]] = {"permanent": "p", "day": "e"}
_RETENTIONS: Final[dict[str, Retention]] = {prefix: retention for retention, prefix in _PREFIXES.items()}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is to be heard, with every default filled in.

    Attributes
    ----------
    text
        Cleaned text, or a rewritten `<speak>` element when `is_ssml`; not in the repr.
    locale
        Chooses the AppKey, whose project decides how things are read.
    master_rate_hz
        Follows from the voice, so it is no part of the id.
    volume
        0..100.
    speech_rate, pitch_rate
        -500..500.
    revision
        How often the prompt was retired: the next one has another URL.
    """

    text: str = field(repr=False)
    is_ssml: bool
    locale: str
    voice: str
    master_rate_hz: int
    volume: int = 50
    speech_rate: int = 0
    pitch_rate: int = 0
    revision: int = 0

    def audible(self) -> dict[str, str | int]:
        """What the id is made of: all that can be heard, and nothing else."""
        return {
            "ssml" if self.is_ssml else "text": self.text,
            "locale": self.locale,
            "voice": self.voice,
            "volume": self.volume,
            "speech_rate": self.speech_rate,
            "pitch_rate": self.pitch_rate,
            "revision": self.revision,
        }

    def id(self, keys: Keys, tenant_id: str) -> str:
        """Its id for a tenant."""
        return prompt_id(keys.version, keys.url_key(tenant_id), self.audible())

    def pieces(self) -> tuple[str, ...]:
        """What is sent to the speech service, in order. SSML is never cut."""
        return (self.text,) if self.is_ssml else pieces.split(self.text)

    def cost(self) -> Cost:
        """What the speech service charges for it."""
        parts = self.pieces()
        return Cost(
            sum(synthesis.characters(part, self.is_ssml) for part in parts),
            sum(synthesis.billed(part, self.is_ssml) for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """Characters sent to the speech service, and billed units: every started 100 characters of every request."""

    characters: int = 0
    calls: int = 0


FREE: Final = Cost()
"""Of a hit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prompt's objects lie. The paths of its URLs are their keys.

    Attributes
    ----------
    slot
        The prompt's id, or `once/...` for one that nobody shall find again.
    """

    tenant_id: str
    retention: Retention
    slot: str

    @property
    def prefix(self) -> str:
        """Of all renditions: `p/{tenant}/{id}/` for permanent prompts, `e/...` for those of a day."""
        return f"{_PREFIXES[self.retention]}/{self.tenant_id}/{self.slot}/"

    @property
    def master_key(self) -> str:
        """In the prompts bucket."""
        return f"masters/{_PREFIXES[self.retention]}/{self.tenant_id}/{self.slot}.wav"

    @property
    def recipe_key(self) -> str:
        """In the state bucket. Apart by retention, because one of the two may be deleted or swept and not the other."""
        return f"{'recipes' if self.retention == 'permanent' else 'day-recipes'}/{self.tenant_id}/{self.slot}"

    @property
    def claim_key(self) -> str:
        """In the state bucket."""
        return f"claims/{self.tenant_id}/{self.slot}.jsonl"

    def rendition_key(self, rendition: Rendition) -> str:
        """In the prompts bucket, and the path of the URL."""
        return self.prefix + rendition.filename


def retention_of(prefix: str) -> Retention | None:
    """What the first part of a URL's path says."""
    return _RETENTIONS.get(prefix)
