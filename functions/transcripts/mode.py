"""How a recording is recognised: which mode, with which AppKey, at which rate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from functions.transcripts.audio import Sound
from functions.transcripts.job import Verdict

if TYPE_CHECKING:
    from isikit.tenants import Tenant

RATES: Final = (8000, 16000)  # the models that recognition has
LONGEST_SENTENCE_MODE_MS: Final = 20 * 60_000
PIECE_MS: Final = 15_000  # short enough to come back soon, long enough to keep its context
LONGEST_PIECE_MS: Final = 55_000  # the service takes 60 s
RECIPE: Final = 1  # of everything in `config_digest` that is not a setting: raised when cutting or joining changes

TOO_LONG: Final = "recording.too_long_for_sentence_mode"
NO_APPKEY: Final = "tenant.no_appkey"


@dataclass(frozen=True, slots=True)
class SentenceMode:
    """Cut at pauses, and every piece recognised by one REST call."""

    appkey: str
    rate_hz: int
    mode: str = "sentence"

    def digest(self) -> str:
        """A digest of all that decides the transcript besides the recording: 64 hex digits."""
        settings = {
            "appkey": self.appkey,
            "longest_piece_ms": LONGEST_PIECE_MS,
            "mode": self.mode,
            "piece_ms": PIECE_MS,
            "rate_hz": self.rate_hz,
            "recipe": RECIPE,
        }
        return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def appkeys_of(tenant: Tenant) -> dict[int, str]:
    """The tenant's AppKeys by sample rate. Language belongs to the AppKey: only those of its own language."""
    return {
        each.sample_rate_hz: each.appkey
        for each in reversed(tenant.appkeys)
        if each.locale == tenant.default_locale and each.sample_rate_hz in RATES
    }


def rate_for(appkeys: Mapping[int, str]) -> int | None:
    """The rate to decode to: the only one there is an AppKey for, or None to leave the choice to the recording."""
    return None if len(appkeys) == len(RATES) else next(iter(appkeys))


def decide(sound: Sound, appkeys: Mapping[int, str]) -> SentenceMode | Verdict:
    """Mode `auto`. The AppKey is the one for the rate that the sound was decoded to."""
    if sound.duration_ms > LONGEST_SENTENCE_MODE_MS:
        return too_long(sound.duration_ms)
    return SentenceMode(appkeys[sound.rate_hz], sound.rate_hz)


def too_long(duration_ms: int = 0) -> Verdict:
    """The verdict on a recording that sentence mode does not take; `duration_ms` 0 where it was not decoded so far."""
    minutes = LONGEST_SENTENCE_MODE_MS // 60_000
    advice = f"Recordings of up to {minutes} minutes are transcribed: cut this one into parts and upload those."
    return Verdict("failed", TOO_LONG, advice, mode="sentence", audio_ms=duration_ms)


def no_appkey() -> Verdict:
    """The verdict where the tenant has no AppKey for its language."""
    advice = (
        "Give the tenant an AppKey for its default locale at 8000 or 16000 Hz, wait half a minute, and upload the "
        "recording again."
    )
    return Verdict("failed", NO_APPKEY, advice)
