"""How a recording is recognised: which mode, with which AppKey, at which rate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from functions.transcripts.audio import Layout, Sound
from functions.transcripts.job import Verdict

if TYPE_CHECKING:
    from isikit.audio.probe import Measured
    from isikit.tenants import Tenant

Wish = Literal["auto", "sentence", "file", "flash", "realtime"]

RATES: Final = (8000, 16000)  # the models that recognition has
RECOGNITION: Final = frozenset({"sentence_asr", "realtime_asr"})  # of an AppKey's uses
SHORT_MS: Final = 60_000
"""Up to this length `auto` takes sentence mode, whatever else there is: the text is there at once."""
LONGEST_SENTENCE_MODE_MS: Final = 20 * 60_000
LONGEST_REALTIME_MS: Final = 8 * 60_000  # the function runs for ten minutes, and realtime is as slow as speech
LONGEST_FILE_MS: Final = 12 * 3600_000
LONGEST_FLASH_MS: Final = 2 * 3600_000
MOST_FLASH_BYTES: Final = 100 * 1024 * 1024
PIECE_MS: Final = 15_000  # short enough to come back soon, long enough to keep its context
LONGEST_PIECE_MS: Final = 55_000  # the service takes 60 s
RECIPE: Final = 1  # of everything in `config_digest` that is not a setting: raised when cutting or joining changes

TOO_LONG_FOR_SENTENCES: Final = "recording.too_long_for_sentence_mode"
TOO_LONG_FOR_REALTIME: Final = "recording.too_long_for_realtime_mode"
TOO_LONG: Final = "recording.too_long"
NOT_OFFERED: Final = "recording.mode_not_offered"
NO_APPKEY: Final = "tenant.no_appkey"
NO_APPKEY_FOR_RATE: Final = "tenant.no_appkey_for_rate"

EVERYWHERE: Final = frozenset({"sentence", "realtime"})
OFFERED: Final[Mapping[str, frozenset[str]]] = {
    "cn-shanghai": EVERYWHERE | {"file", "flash"},
    "cn-beijing": EVERYWHERE | {"file", "flash"},
    "cn-shenzhen": EVERYWHERE | {"file", "flash"},
    "ap-southeast-1": EVERYWHERE,
}
"""What the speech service offers by region. Sources: the interface page of recording-file recognition (its domains are
filetrans.cn-shanghai, cn-beijing and cn-shenzhen), the service-address page for the gateways (the same three, and
ap-southeast-1 for the international site). Of flash recognition outside of the mainland no page speaks."""

FLASH_FORMATS: Final[Mapping[str, str]] = {"wav": "WAV", "mp3": "MP3", "mov": "MP4", "ogg": "OPUS"}
"""Our containers as flash recognition calls them; FLAC is not among its formats (its RESTful API page)."""
EXTENSIONS: Final[Mapping[str, str]] = {"wav": "wav", "mp3": "mp3", "mov": "m4a", "ogg": "ogg", "flac": "flac"}
SILENT_RMS: Final = 1  # digital silence; a level of the whole says nothing about a few words in an hour
SAME_TO_ONE_IN: Final = 100  # as in `audio`: -40 dB


@dataclass(frozen=True, slots=True)
class SentenceMode:
    """Cut at pauses, and every piece recognised by one call."""

    appkey: str
    rate_hz: int
    mode: str = "sentence"
    roles: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """A digest of all that decides the transcript besides the recording: 64 hex digits."""
        return _digest(self.mode, self.appkey, self.rate_hz, longest_piece_ms=LONGEST_PIECE_MS, piece_ms=PIECE_MS)


@dataclass(frozen=True, slots=True)
class WholeMode:
    """The file handed over as it is: `file` to the service's queue, `flash` in one request, `realtime` as it is played.

    Stands in the job's journal, so that whoever fetches the result need not look at the recording again.

    Attributes
    ----------
    duration_ms, channels, layout
        Of the recording.
    first_channel_only
        The second holds nothing else, so that it is not paid.
    container
        In FFmpeg's short name.
    source_rate_hz
        In the file.
    silent
        There is nothing in it to recognise.
    roles
        Who speaks on a channel, by the tenant's rule.
    role_arn
        Of the account that the AppKey is of, "" for our own: its queue must be asked for what was submitted to it.
    """

    mode: Literal["file", "flash", "realtime"]
    appkey: str
    rate_hz: int
    duration_ms: int
    channels: int
    layout: Layout
    first_channel_only: bool
    container: str
    source_rate_hz: int
    silent: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""

    @property
    def adaptive(self) -> bool:
        """Whether the service has to bring the rate down to the model's."""
        return self.source_rate_hz > max(RATES)

    def digest(self) -> str:
        """As `SentenceMode.digest`."""
        return _digest(self.mode, self.appkey, self.rate_hz, first_channel_only=self.first_channel_only)

    def record(self) -> dict[str, Any]:
        """As it stands in the journal."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told

    @classmethod
    def recorded(cls, told: Mapping[str, Any]) -> WholeMode:
        """The mode of a record."""
        return msgspec.convert(told, cls)


Plan = SentenceMode | WholeMode


def appkeys_of(tenant: Tenant, locale: str | None = None) -> dict[int, str]:
    """The tenant's AppKeys by sample rate. Language belongs to the AppKey: only those of the language wanted.

    And only those that are for recognition (`uses`): `sentence_asr` or `realtime_asr`, and either serves every mode.
    The uses tell leased clients what to start; a project's recognition model is the same for all.

    Parameters
    ----------
    locale
        The tenant's default where it is None.
    """
    return {
        each.sample_rate_hz: each.appkey
        for each in reversed(tenant.appkeys)
        if each.locale == (locale or tenant.default_locale)
        and each.sample_rate_hz in RATES
        and (not each.uses or RECOGNITION & set(each.uses))
    }


def rate_for(appkeys: Mapping[int, str]) -> int | None:
    """The rate to decode to: the only one there is an AppKey for, or None to leave the choice to the recording."""
    return None if len(appkeys) == len(RATES) else next(iter(appkeys))


def decoded_ms(wish: Wish, offered: frozenset[str]) -> int:
    """Up to which length a recording is decoded into memory, because sentence mode or realtime may want it; 0: not."""
    match wish:
        case "auto":
            return SHORT_MS if {"file", "flash"} & offered else LONGEST_SENTENCE_MODE_MS
        case "sentence":
            return LONGEST_SENTENCE_MODE_MS
        case "realtime":
            return LONGEST_REALTIME_MS
        case _:
            return 0


def in_pieces(sound: Sound, appkeys: Mapping[int, str]) -> SentenceMode | Verdict:
    """Sentence mode for what was decoded. The AppKey is the one for the rate that it was decoded to."""
    if sound.duration_ms > LONGEST_SENTENCE_MODE_MS:
        return too_long("sentence", sound.duration_ms)
    return SentenceMode(appkeys[sound.rate_hz], sound.rate_hz)


def as_played(sound: Sound, appkeys: Mapping[int, str], layout: Layout) -> WholeMode:
    """Realtime for what was decoded."""
    rate_hz = sound.rate_hz
    alone = len(sound.sides) == 1
    return WholeMode(
        "realtime", appkeys[rate_hz], rate_hz, sound.duration_ms, sound.channels, layout, alone, "pcm", rate_hz
    )


def as_a_whole(
    wish: Wish, measured: Measured, size: int, appkeys: Mapping[int, str], offered: frozenset[str]
) -> WholeMode | Literal["sentence"] | Verdict:
    """File or flash for a recording that was measured; `sentence` where `auto` can take neither.

    `auto` prefers the queue: it bills by duration, and 8 kHz calls of two channels once. Flash is for what the queue
    cannot take: it resamples, the queue does not raise rates (and an 8 kHz AppKey gets nothing but 8 kHz).
    """
    if wish in ("file", "flash") and wish not in offered:
        return not_offered(wish)
    if wish != "flash" and "file" in offered and (rate_hz := _file_rate(measured)) in appkeys:
        return _whole("file", appkeys[rate_hz], rate_hz, measured)
    if wish == "file":
        return _no_appkey_for_rate(measured)
    flashed = _flash(measured, size, appkeys) if "flash" in offered else not_offered("flash")
    if isinstance(flashed, WholeMode) or wish == "flash":
        return flashed
    if measured.duration_ms <= LONGEST_SENTENCE_MODE_MS:
        return "sentence"
    return _no_appkey_for_rate(measured) if "file" in offered else too_long("sentence", measured.duration_ms)


def layout_of(measured: Measured) -> Layout:
    """How the channels of a measured recording relate."""
    first, second, difference = measured.levels
    if measured.channels == 1:
        return "mono"
    if difference * SAME_TO_ONE_IN <= min(first, second):
        return "same_on_both_sides"
    return "one_side_silent" if min(first, second) <= SILENT_RMS else "two_sides"


def too_long(mode: str, duration_ms: int = 0) -> Verdict:
    """The verdict on a recording that a mode does not take; `duration_ms` 0 where it was not decoded so far."""
    reason, longest_ms = {
        "sentence": (TOO_LONG_FOR_SENTENCES, LONGEST_SENTENCE_MODE_MS),
        "realtime": (TOO_LONG_FOR_REALTIME, LONGEST_REALTIME_MS),
        "flash": (TOO_LONG, LONGEST_FLASH_MS),
    }.get(mode, (TOO_LONG, LONGEST_FILE_MS))
    minutes = longest_ms // 60_000
    advice = f"Recordings of up to {minutes} minutes are transcribed: cut this one into parts and upload those."
    return Verdict("failed", reason, advice, mode=mode, audio_ms=duration_ms)


def no_appkey() -> Verdict:
    """The verdict where the tenant has no AppKey for its language."""
    advice = (
        "Give the tenant an AppKey for its default locale at 8000 or 16000 Hz, with a use for recognition or none, "
        "wait half a minute, and upload the recording again."
    )
    return Verdict("failed", NO_APPKEY, advice)


def _file_rate(measured: Measured) -> int:
    """The model's rate that the queue takes a recording with: never raised, brought down from above 16 kHz only."""
    return 8000 if measured.source_rate_hz == 8000 else 16000 if measured.source_rate_hz >= 16000 else 0


def _flash(measured: Measured, size: int, appkeys: Mapping[int, str]) -> WholeMode | Verdict:
    name = FLASH_FORMATS.get(measured.container)
    if name is None or (name == "OPUS" and measured.codec != "opus"):
        advice = "Flash recognition takes WAV, MP3, MP4 and Ogg Opus: convert the recording, or ask for another mode."
        return Verdict("failed", "recording.format_not_for_flash", advice, mode="flash")
    if measured.duration_ms > LONGEST_FLASH_MS:
        return too_long("flash", measured.duration_ms)
    if size > MOST_FLASH_BYTES:
        advice = "Flash recognition takes recordings of up to 100 MB: compress this one, or ask for another mode."
        return Verdict("failed", "recording.too_large_for_flash", advice, mode="flash")
    wanted = 8000 if measured.source_rate_hz == 8000 else 16000
    rate_hz = wanted if wanted in appkeys else next(iter(appkeys))
    return _whole("flash", appkeys[rate_hz], rate_hz, measured)


def _whole(mode: Literal["file", "flash"], appkey: str, rate_hz: int, measured: Measured) -> WholeMode:
    layout = layout_of(measured)
    first, second, _ = measured.levels
    return WholeMode(
        mode=mode,
        appkey=appkey,
        rate_hz=rate_hz,
        duration_ms=measured.duration_ms,
        channels=measured.channels,
        layout=layout,
        first_channel_only=measured.channels == 1 or layout == "same_on_both_sides" or second <= SILENT_RMS,
        container=measured.container,
        source_rate_hz=measured.source_rate_hz,
        silent=max(first, second) <= SILENT_RMS,
    )


def not_offered(mode: str) -> Verdict:
    """The verdict where a tenant asks for a mode that is not there."""
    advice = f"This deployment has no {mode} mode: choose another one in the tenant's sources, or set it up."
    return Verdict("failed", NOT_OFFERED, advice, mode=mode)


def _no_appkey_for_rate(measured: Measured) -> Verdict:
    rate_hz = _file_rate(measured) or "8000 or 16000"
    advice = (
        f"The service's queue takes a recording at its own rate only: give the tenant an AppKey for {rate_hz} Hz, wait "
        "half a minute, and upload the recording again; or convert it."
    )
    return Verdict("failed", NO_APPKEY_FOR_RATE, advice, mode="file", audio_ms=measured.duration_ms)


def _digest(mode: str, appkey: str, rate_hz: int, **settings: object) -> str:
    told = {"appkey": appkey, "mode": mode, "rate_hz": rate_hz, "recipe": RECIPE, **settings}
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()
