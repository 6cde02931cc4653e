"""What the speech service's status codes mean to us.

Sources: the service's published error-code pages, its SDKs' sources and recorded traffic. Codes are eight digits,
4xxxxxxx for the client's and 5xxxxxxx for the server's fault; REST and the WebSocket handshake also answer with HTTP
statuses. One code can stand for several causes: then a part of the text decides (`NLS_BY_TEXT`), and the text is
dropped, because it can echo the token, the voice or the text to speak.
"""

from __future__ import annotations

from typing import cast

from isikit.errors.meaning import Meaning
from isikit.errors.tree import (
    SpeechAudioRefused,
    SpeechBusy,
    SpeechError,
    SpeechTextRefused,
    SpeechTokenRefused,
    SpeechUnavailable,
)

_PROJECT = "Check that the AppKey exists and belongs to the account of the function's role."
_OURS = "This is a mistake of this service: report the request id."
_AUDIO = "Check the recording's format; mono WAV or PCM at the AppKey's sample rate always works."
_FILE = "Check that the recording opens in an ordinary player, and send it again."

_token = Meaning(SpeechTokenRefused, "nls.token_invalid")
_expired = Meaning(SpeechTokenRefused, "nls.token_expired")
_token_missing = Meaning(SpeechTokenRefused, "nls.token_missing", _OURS)
_message = Meaning(SpeechError, "nls.message_invalid", _OURS)
_idle = Meaning(SpeechUnavailable, "nls.idle_timeout", "Try again; if it lasts, the speech service is overloaded.")
_busy = Meaning(SpeechBusy, "nls.too_many_requests")
_voice_forbidden = Meaning(
    SpeechTextRefused, "nls.voice_forbidden", "Choose another voice, or enable this one in the speech console."
)
_voice_unknown = Meaning(SpeechTextRefused, "nls.voice_unknown", "Choose a voice from GET /v1/voices.")
_text = Meaning(SpeechTextRefused, "nls.text_refused")
_text_empty = Meaning(SpeechTextRefused, "nls.text_empty", "Send text with something to speak in it.")
_ssml = Meaning(SpeechTextRefused, "nls.ssml_refused", "Check the SSML: at most 300 characters, known elements only.")
_project_unknown = Meaning(SpeechError, "nls.appkey_unknown", _PROJECT)
_project_other = Meaning(SpeechError, "nls.appkey_mismatch", _PROJECT)
_trial = Meaning(
    SpeechError, "nls.trial_expired", "The trial is over or the account is in arrears: enable the paid service."
)
_ram = Meaning(SpeechError, "nls.ram_denied", "Attach AliyunNLSSpeechServiceAccess to the function's role.")
_format = Meaning(SpeechAudioRefused, "nls.audio_format", _AUDIO)
_rate = Meaning(SpeechAudioRefused, "nls.sample_rate", "Send the sample rate that the AppKey's model is set to.")
_too_long = Meaning(SpeechAudioRefused, "nls.audio_too_long", "Cut the recording, or use the file mode.")
_silent = Meaning(SpeechAudioRefused, "nls.no_speech", "The recording holds no speech that could be heard.")
_decode = Meaning(SpeechAudioRefused, "nls.audio_undecodable", _FILE)
_fetch = Meaning(SpeechError, "nls.file_not_fetched", "Presign the recording again and submit again.", retryable=True)
_gap = Meaning(SpeechUnavailable, "nls.audio_gap", "Start again and send audio without gaps.")
_server = Meaning(SpeechUnavailable, "nls.server_error")
_engine = Meaning(SpeechUnavailable, "nls.engine_failed")
_running = Meaning(SpeechUnavailable, "nls.not_finished", "Ask again later.", retry_after=10)
_refused = Meaning(SpeechError, "nls.refused")
_unproved = Meaning(SpeechError, "nls.unproved", "The answer was called a success without being one; try again.")

NLS: dict[int, Meaning] = {
    401: _token,
    403: _token,
    429: _busy,
    10000100: _token,
    10000110: _expired,
    10000111: _token,
    10000112: _voice_forbidden,
    10000113: _token_missing,
    20000000: _unproved,
    21050000: _unproved,
    21050001: _running,
    21050002: _running,
    21050003: _silent,
    40000000: Meaning(SpeechError, "nls.client_error", _OURS),
    40000001: _token,
    40000002: _message,
    40000003: Meaning(SpeechError, "nls.parameter_invalid", _OURS),
    40000004: _idle,
    40000005: _busy,
    40000009: _format,
    40000010: _trial,
    40010001: Meaning(SpeechError, "nls.namespace_unknown", "Check the speech service's address in the settings."),
    40010002: Meaning(SpeechError, "nls.directive_unknown", _OURS),
    40010003: Meaning(SpeechError, "nls.directive_invalid", _OURS),
    40010004: Meaning(SpeechUnavailable, "nls.client_disconnected", "The connection broke; try again."),
    40010005: Meaning(SpeechError, "nls.task_state", _OURS),
    40020105: _project_unknown,
    40020106: _project_other,
    40020503: _ram,
    40270001: _format,
    40270002: _silent,
    40270003: _decode,
    40270004: _decode,
    40270006: _fetch,
    41000002: Meaning(SpeechError, "nls.appkey_missing", _OURS),
    41000003: Meaning(SpeechError, "nls.appkey_unrouted", _PROJECT),
    41010100: _format,
    41010101: _rate,
    41010104: _too_long,
    41010105: _silent,
    41010120: _gap,
    41020001: _text,
    41040201: _gap,
    41040202: Meaning(SpeechBusy, "nls.audio_too_fast", "Send audio at about the speed at which it was spoken."),
    41040203: _format,
    41040204: Meaning(SpeechError, "nls.call_order", _OURS),
    41040205: Meaning(SpeechError, "nls.max_silence", "Set the longest silence to 200 to 2000 ms."),
    41050001: Meaning(
        SpeechError, "nls.quota_exceeded", "The day's free quota is used up: enable the paid service, or wait a day."
    ),
    41050002: _fetch,
    41050003: _decode,
    41050004: Meaning(SpeechAudioRefused, "nls.file_too_large", "Cut the recording: at most 512 MB."),
    41050005: _decode,
    41050006: _decode,
    41050007: _decode,
    41050008: Meaning(SpeechAudioRefused, "nls.sample_rate", "Submit with enable_sample_rate_adaptive."),
    41050010: Meaning(SpeechError, "nls.task_expired", "The task is unknown or older than 72 hours: submit again."),
    41050011: Meaning(SpeechError, "nls.file_url_invalid", _OURS),
    41050012: Meaning(SpeechError, "nls.callback_invalid", "Check the callback's address: a domain, not an IP."),
    41050013: Meaning(SpeechError, "nls.parameter_invalid", _OURS),
    41050014: Meaning(SpeechError, "nls.appkey_missing", _OURS),
    41050015: _project_unknown,
    41050021: _ram,
    41050023: _fetch,
    41050024: Meaning(SpeechError, "nls.file_missing", "The recording was gone when the service came for it."),
    41050025: _fetch,
    41050026: _fetch,
    41050103: _too_long,
    43040001: _busy,
    50000000: _server,
    50000001: _server,
    50020003: Meaning(SpeechUnavailable, "nls.route_missing"),
    51020001: _engine,
    51040101: _server,
    51040103: _server,
    51040104: _server,
    51040105: _server,
    51040106: _server,
    51050000: _server,
    52010001: _server,
}
"""Service code (or HTTP status) -> meaning, when the text says no more."""

NLS_BY_TEXT: tuple[tuple[int, str, Meaning], ...] = (
    (40000000, "client disconnected", Meaning(SpeechUnavailable, "nls.client_disconnected", "Try again.")),
    (40000000, "text is empty", _text_empty),
    (40000001, "has expired", _expired),
    (40000001, "missing authorization header", _token_missing),
    (40000001, "privilege to this voice", _voice_forbidden),
    (40000003, "voice name", _voice_unknown),
    (40000003, "appkey", _project_unknown),
    (40010003, "no text specified", _text_empty),
    (41020001, "ssml", _ssml),
    (41020001, "voice name", _voice_unknown),
    (51020001, "voice name", _voice_unknown),
    (403, "has expired", _expired),
    (403, "privilege to this voice", _voice_forbidden),
)
"""(service code, part of its text in lower case, meaning): looked up first, in this order."""


def speech_error(status: int, text: str) -> SpeechError:
    """The error for a status of the speech service.

    Parameters
    ----------
    status
        `header.status` of a TaskFailed, `status` of a REST body, or an HTTP status (< 1000) if there was nothing else.
    text
        `status_text` or `message`. Only looked at, never kept: it may echo the token.

    Returns
    -------
    SpeechError
        Unknown codes: 5xxxxxxx and HTTP 5xx are retryable `nls.server_error`, all others `nls.refused`.
    """
    lowered = text.lower()
    for code, part, meaning in NLS_BY_TEXT:
        if code == status and part in lowered:
            return cast(SpeechError, meaning.error(status))
    meaning = NLS.get(status) or (_server if 500 <= status < 600 or 50000000 <= status < 60000000 else _refused)
    return cast(SpeechError, meaning.error(status))
