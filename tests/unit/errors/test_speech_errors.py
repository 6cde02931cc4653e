"""What each status of the speech service means. Expectations are written out: the table is not its own proof."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isikit.errors import (
    NLS,
    IsiError,
    SpeechAudioRefused,
    SpeechBusy,
    SpeechError,
    SpeechTextRefused,
    SpeechTokenRefused,
    SpeechUnavailable,
    problem,
    speech_error,
)

INVALID = "Gateway:ACCESS_DENIED:The token 'c0c1c0c1c0c1c0c1' is invalid!"
EXPIRED = "Gateway:ACCESS_DENIED:The token 'c0c1c0c1c0c1c0c1' has expired!"

ROWS: list[tuple[int, str, type[SpeechError], str, int, bool]] = [
    (403, "Meta:ACCESS_DENIED:The token 'c0c1' is invalid!", SpeechTokenRefused, "nls.token_invalid", 502, True),
    (403, "Meta:ACCESS_DENIED:The token 'c0c1' has expired!", SpeechTokenRefused, "nls.token_expired", 502, True),
    (401, "", SpeechTokenRefused, "nls.token_invalid", 502, True),
    (429, "", SpeechBusy, "nls.too_many_requests", 503, True),
    (503, "Service Unavailable", SpeechUnavailable, "nls.server_error", 503, True),
    (418, "", SpeechError, "nls.refused", 502, False),
    (10000100, "", SpeechTokenRefused, "nls.token_invalid", 502, True),
    (10000110, "", SpeechTokenRefused, "nls.token_expired", 502, True),
    (10000111, "", SpeechTokenRefused, "nls.token_invalid", 502, True),
    (10000112, "", SpeechTextRefused, "nls.voice_forbidden", 422, False),
    (10000113, "", SpeechTokenRefused, "nls.token_missing", 502, True),
    (20000000, "Gateway:SUCCESS:Success.", SpeechError, "nls.unproved", 502, False),
    (21050000, "SUCCESS", SpeechError, "nls.unproved", 502, False),
    (21050001, "RUNNING", SpeechUnavailable, "nls.not_finished", 503, True),
    (21050002, "QUEUEING", SpeechUnavailable, "nls.not_finished", 503, True),
    (21050003, "SUCCESS_WITH_NO_VALID_FRAGMENT", SpeechAudioRefused, "nls.no_speech", 422, False),
    (40000000, "Gateway:CLIENT_ERROR:in post data, json format illegal", SpeechError, "nls.client_error", 502, False),
    (40000000, "text is empty", SpeechTextRefused, "nls.text_empty", 422, False),
    (40000000, "[tts:atom-offline]Client disconnected!", SpeechUnavailable, "nls.client_disconnected", 503, True),
    (40000001, EXPIRED, SpeechTokenRefused, "nls.token_expired", 502, True),
    (40000001, INVALID, SpeechTokenRefused, "nls.token_invalid", 502, True),
    (40000001, "Missing authorization header!", SpeechTokenRefused, "nls.token_missing", 502, True),
    (
        40000001,
        "No privilege to this voice! (voice: zhinan, privilege: 0)",
        SpeechTextRefused,
        "nls.voice_forbidden",
        422,
        False,
    ),
    (40000002, "Gateway:MESSAGE_INVALID:Invalid message id ''!", SpeechError, "nls.message_invalid", 502, False),
    (40000003, "Gateway:PARAMETER_INVALID:appkey not set", SpeechError, "nls.appkey_unknown", 502, False),
    (40000003, "Invalid voice name 'x'!", SpeechTextRefused, "nls.voice_unknown", 422, False),
    (40000003, "Failed to decode url params", SpeechError, "nls.parameter_invalid", 502, False),
    (40000004, "Gateway:IDLE_TIMEOUT:Websocket session is idle", SpeechUnavailable, "nls.idle_timeout", 503, True),
    (40000005, "Gateway:TOO_MANY_REQUESTS:Too many requests!", SpeechBusy, "nls.too_many_requests", 503, True),
    (40000009, "Invalid wav header!", SpeechAudioRefused, "nls.audio_format", 422, False),
    (40000010, "Gateway:FREE_TRIAL_EXPIRED:The free trial has expired!", SpeechError, "nls.trial_expired", 502, False),
    (
        40010001,
        "Gateway:NAMESPACE_NOT_FOUND:RESTful url path illegal!",
        SpeechError,
        "nls.namespace_unknown",
        502,
        False,
    ),
    (40010002, "unsupported directive", SpeechError, "nls.directive_unknown", 502, False),
    (40010003, "Gateway:DIRECTIVE_INVALID:No text specified!", SpeechTextRefused, "nls.text_empty", 422, False),
    (40010003, "Gateway:DIRECTIVE_INVALID:Invalid format 'PCM'!", SpeechError, "nls.directive_invalid", 502, False),
    (40010004, "Gateway:CLIENT_DISCONNECT:", SpeechUnavailable, "nls.client_disconnected", 503, True),
    (40010005, "Gateway:TASK_STATE_ERROR:", SpeechError, "nls.task_state", 502, False),
    (40020105, "Meta:APPKEY_NOT_EXIST:Appkey not exist!", SpeechError, "nls.appkey_unknown", 502, False),
    (40020106, "Meta:APPKEY_UID_MISMATCH:", SpeechError, "nls.appkey_mismatch", 502, False),
    (40020503, "No permission", SpeechError, "nls.ram_denied", 502, False),
    (40270001, "", SpeechAudioRefused, "nls.audio_format", 422, False),
    (40270002, "NO_VALID_AUDIO_ERROR", SpeechAudioRefused, "nls.no_speech", 422, False),
    (40270003, "DECODER_ERROR", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (40270004, "", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (40270006, "", SpeechError, "nls.file_not_fetched", 502, True),
    (41000002, "APPKEY_KEY_IS_NULL", SpeechError, "nls.appkey_missing", 502, False),
    (41000003, "MetaInfo doesn't have end point info", SpeechError, "nls.appkey_unrouted", 502, False),
    (41010100, "UNSUPPORTED_FORMAT", SpeechAudioRefused, "nls.audio_format", 422, False),
    (41010101, "UNSUPPORTED_SAMPLE_RATE", SpeechAudioRefused, "nls.sample_rate", 422, False),
    (41010104, "TOO_LONG_SPEECH", SpeechAudioRefused, "nls.audio_too_long", 422, False),
    (41010105, "", SpeechAudioRefused, "nls.no_speech", 422, False),
    (41010120, "", SpeechUnavailable, "nls.audio_gap", 503, True),
    (
        41020001,
        "TTS:TtsClientError:[tts]Engine return error code: 418",
        SpeechTextRefused,
        "nls.text_refused",
        422,
        False,
    ),
    (41020001, "Illegal ssml text", SpeechTextRefused, "nls.ssml_refused", 422, False),
    (41020001, "SSML text length should be less than 300.", SpeechTextRefused, "nls.ssml_refused", 422, False),
    (41020001, "SetVoice RetCode[2] invalid voice name", SpeechTextRefused, "nls.voice_unknown", 422, False),
    (41040201, "Realtime:GET_CLIENT_DATA_TIMEOUT:", SpeechUnavailable, "nls.audio_gap", 503, True),
    (41040202, "", SpeechBusy, "nls.audio_too_fast", 503, True),
    (41040203, "", SpeechAudioRefused, "nls.audio_format", 422, False),
    (41040204, "", SpeechError, "nls.call_order", 502, False),
    (41040205, "", SpeechError, "nls.max_silence", 502, False),
    (41050001, "USER_BIZDURATION_QUOTA_EXCEED", SpeechError, "nls.quota_exceeded", 502, False),
    (41050002, "FILE_DOWNLOAD_FAILED", SpeechError, "nls.file_not_fetched", 502, True),
    (41050003, "FILE_CHECK_FAILED", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (41050004, "FILE_TOO_LARGE", SpeechAudioRefused, "nls.file_too_large", 422, False),
    (41050005, "FILE_NORMALIZE_FAILED", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (41050006, "FILE_PARSE_FAILED", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (41050007, "MKV_PARSE_FAILED", SpeechAudioRefused, "nls.audio_undecodable", 422, False),
    (41050008, "UNSUPPORTED_SAMPLE_RATE", SpeechAudioRefused, "nls.sample_rate", 422, False),
    (41050010, "FILE_TRANS_TASK_EXPIRED", SpeechError, "nls.task_expired", 502, False),
    (41050011, "REQUEST_INVALID_FILE_URL_VALUE", SpeechError, "nls.file_url_invalid", 502, False),
    (41050012, "REQUEST_INVALID_CALLBACK_VALUE", SpeechError, "nls.callback_invalid", 502, False),
    (41050013, "REQUEST_PARAMETER_INVALID", SpeechError, "nls.parameter_invalid", 502, False),
    (41050014, "REQUEST_EMPTY_APPKEY_VALUE", SpeechError, "nls.appkey_missing", 502, False),
    (41050015, "REQUEST_APPKEY_UNREGISTERED", SpeechError, "nls.appkey_unknown", 502, False),
    (41050021, "RAM_CHECK_FAILED", SpeechError, "nls.ram_denied", 502, False),
    (41050023, "CONTENT_LENGTH_CHECK_FAILED", SpeechError, "nls.file_not_fetched", 502, True),
    (41050024, "FILE_404_NOT_FOUND", SpeechError, "nls.file_missing", 502, False),
    (41050025, "FILE_403_FORBIDDEN", SpeechError, "nls.file_not_fetched", 502, True),
    (41050026, "FILE_SERVER_ERROR", SpeechError, "nls.file_not_fetched", 502, True),
    (41050103, "AUDIO_DURATION_TOO_LONG", SpeechAudioRefused, "nls.audio_too_long", 422, False),
    (43040001, "ConcurrencyExceed", SpeechBusy, "nls.too_many_requests", 503, True),
    (50000000, "Gateway:SERVER_ERROR:Server error!", SpeechUnavailable, "nls.server_error", 503, True),
    (50000001, "Gateway:GRPC_ERROR:Grpc error!", SpeechUnavailable, "nls.server_error", 503, True),
    (50020003, "Meta:ROUTE_GROUP_NOT_FOUND:", SpeechUnavailable, "nls.route_missing", 503, True),
    (51020001, "TTS:TtsServerError:[flow]Instance pool exhausted!", SpeechUnavailable, "nls.engine_failed", 503, True),
    (51020001, "invalid voice name", SpeechTextRefused, "nls.voice_unknown", 422, False),
    (51040101, "", SpeechUnavailable, "nls.server_error", 503, True),
    (51040103, "", SpeechUnavailable, "nls.server_error", 503, True),
    (51040104, "", SpeechUnavailable, "nls.server_error", 503, True),
    (51040105, "", SpeechUnavailable, "nls.server_error", 503, True),
    (51040106, "", SpeechUnavailable, "nls.server_error", 503, True),
    (51050000, "INTERNAL_ERROR", SpeechUnavailable, "nls.server_error", 503, True),
    (52010001, "Gateway:GRPC_ERROR:Grpc error!", SpeechUnavailable, "nls.server_error", 503, True),
    (49999999, "never seen", SpeechError, "nls.refused", 502, False),
    (59999999, "never seen", SpeechUnavailable, "nls.server_error", 503, True),
]


@pytest.mark.parametrize(("status", "text", "kind", "code", "http", "retryable"), ROWS)
def test_a_status_means(status: int, text: str, kind: type[SpeechError], code: str, http: int, retryable: bool) -> None:
    error = speech_error(status, text)
    assert (type(error), error.code, error.status, error.retryable) == (kind, code, http, retryable)
    assert error.upstream_code == str(status)


def test_every_row_of_the_table_is_expected_here() -> None:
    assert set(NLS) <= {row[0] for row in ROWS}


@pytest.mark.parametrize("status", sorted(NLS))
def test_every_meaning_has_advice_and_a_title(status: int) -> None:
    error = speech_error(status, "")
    assert error.advice.endswith(".")
    assert error.title
    assert (error.retry_after is None) or error.retryable


@given(status=st.sampled_from([403, 40000001, 40000000, 41020001, 50000000, 12345]), text=st.text(min_size=9))
def test_no_text_of_the_service_survives_in_the_error(status: int, text: str) -> None:
    secret = f"<{text}>"
    error = speech_error(status, f"The token '{secret}' is invalid!")
    kept = [str(error), repr(error), *map(str, error.args), *map(str, vars(error).values()), str(problem(error, "1"))]
    assert not [one for one in kept if secret in one]


def test_an_exact_code_of_the_same_family_can_be_named_where_it_is_found() -> None:
    error = SpeechError("Half of the audio is missing.", code="nls.truncated")
    assert (error.code, error.status) == ("nls.truncated", 502)
    assert isinstance(error, IsiError)
